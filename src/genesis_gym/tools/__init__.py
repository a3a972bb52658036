"""Tools around the package: doctor, self-check, warm-up."""

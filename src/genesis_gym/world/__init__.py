"""What a scene is made of: the world, its physics, objects, terrain and sensors."""

from genesis_gym.world.component import Component, Property
from genesis_gym.world.objects import Articulation, Bin, Box, Cylinder, Ground, Marker, Object, Table
from genesis_gym.world.part import Part
from genesis_gym.world.physics import SOFT, STIFF, ContactModel, Physics, Viewpoint
from genesis_gym.world.sensors import Contacts
from genesis_gym.world.terrain import Flat, Terrain
from genesis_gym.world.world import World

__all__ = [
    "SOFT",
    "STIFF",
    "Articulation",
    "Bin",
    "Box",
    "Component",
    "ContactModel",
    "Contacts",
    "Cylinder",
    "Flat",
    "Ground",
    "Marker",
    "Object",
    "Part",
    "Physics",
    "Property",
    "Table",
    "Terrain",
    "Viewpoint",
    "World",
]

"""The state of components: whatever their future depends on is found, copied, checked and put back."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import random_actions
from genesis_gym import ArmTask, BatchedEnv, Component
from genesis_gym.errors import ArgumentError
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.variation import UniformCommand
from genesis_gym.world.component import components

SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bool, torch.uint8])
TENSORS = st.builds(lambda shape, dtype, seed: made(shape, dtype, seed), SHAPES, DTYPES, st.integers(0, 99))
PLAIN = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.floats(allow_nan=False))
NAMES = st.text("abcdef", min_size=1, max_size=3)


class Pair(NamedTuple):
    first: Any
    second: Any


def made(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    numbers = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 100
    return numbers.to(dtype)


def component(attributes: dict[str, Any]) -> Component:
    built = Component()
    vars(built).update(attributes)
    return built


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(NAMES, inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.dictionaries(NAMES, inner, max_size=3).map(component),
    )


VALUES = st.recursive(st.one_of(TENSORS, PLAIN), containers, max_leaves=12)


def leaves(value: Any) -> list[torch.Tensor]:
    """The tensors in attributes, containers and components, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Component):
        value = vars(value)
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, (list, tuple)) else []


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )


def overwrite(value: Any) -> None:
    """Give every tensor other values."""
    for leaf in leaves(value):
        leaf.copy_(~leaf if leaf.dtype == torch.bool else leaf + 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_a_state_holds_every_tensor_and_puts_it_back(attributes: dict[str, Any]) -> None:
    root = component(attributes)
    state, before = root.state_dict(), [leaf.clone() for leaf in leaves(root)]
    assert same(leaves(state), before)
    overwrite(root)
    assert same(leaves(state), before), "a state is a copy"
    root.load_state_dict(state)
    assert same(leaves(root), before)
    overwrite(root)
    assert same(leaves(state), before), "what is loaded is a copy, too"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.data())
def test_a_state_that_does_not_fit_changes_nothing(attributes: dict[str, Any], data: st.DataObject) -> None:
    root = component({**attributes, "last": torch.zeros(2)})
    state = root.state_dict()
    overwrite(root)
    before = [leaf.clone() for leaf in leaves(root)]
    wrong = data.draw(st.sampled_from(["shape", "dtype", "missing", "unknown", "dictionary", "number"]))
    if wrong == "missing":
        del state["last"]
    elif wrong == "unknown":
        state["more"] = torch.zeros(2)
    else:
        state["last"] = {
            "shape": torch.zeros(3),
            "dtype": torch.zeros(2, dtype=torch.float64),
            "dictionary": {},
            "number": 1.0,
        }[wrong]
    with pytest.raises(ArgumentError, match="state is of another environment: state/"):
        root.load_state_dict(state)
    assert same(leaves(root), before)


def test_types_of_containers_and_what_is_no_tensor_stay() -> None:
    root = component({"pair": Pair(torch.zeros(1), "text"), "both": (1, torch.ones(1)), "map": {3: torch.ones(2)}})
    root.load_state_dict(root.state_dict())
    assert isinstance(root.pair, Pair) and root.pair.second == "text"
    assert isinstance(root.both, tuple) and root.both[0] == 1
    assert torch.equal(root.map[3], torch.ones(2)), "keys need not be strings"


@pytest.mark.parametrize("kind", [OrderedDict, lambda items: defaultdict(list, items), Counter])
def test_every_kind_of_dictionary_is_kept(kind) -> None:
    root = component({"map": kind({"a": torch.zeros(1)})})
    state = root.state_dict()
    before = type(root.map)
    root.map["a"] = torch.ones(1)
    root.load_state_dict(state)
    assert type(root.map) is before and root.map["a"] == 0


@pytest.mark.parametrize("lengths", [(3, 5), (3, 1), (3, 0), (0, 4)])
def test_a_history_may_grow_and_shrink(lengths: tuple[int, int]) -> None:
    kept, now = lengths
    root = component({"history": [torch.full((2,), float(i)) for i in range(kept)], "other": torch.zeros(1)})
    state = root.state_dict()
    root.history = [torch.full((2,), -1.0) for _ in range(now)]
    root.load_state_dict(state)
    assert [entry.tolist() for entry in root.history] == [[float(i)] * 2 for i in range(kept)]


def test_a_longer_list_than_ten_keeps_its_order() -> None:
    root = component({"history": [torch.tensor(float(i)) for i in range(25)]})
    state = root.state_dict()
    root.history = root.history[::-1]
    root.load_state_dict(state)
    assert [entry.item() for entry in root.history] == list(range(25))


def test_shared_components_and_cycles_are_walked_once() -> None:
    shared = component({"value": torch.zeros(2)})
    left, right = component({"part": shared}), component({"part": shared})
    root = component({"left": left, "right": right, "list": [shared]})
    shared.root = root
    assert [id(found) for found in components(root).values()] == [id(part) for part in (shared, left, right, root)]
    state = root.state_dict()
    assert len(leaves(state)) == 1
    shared.value = torch.ones(2)
    root.load_state_dict(state)
    assert root.right.part is shared and torch.equal(shared.value, torch.zeros(2))


def test_children_are_started_before_their_parents() -> None:
    names: list[str] = []

    class Part(Component):
        def __init__(self, name: str, **children: Any) -> None:
            self.name = name
            vars(self).update(children)

        def start(self) -> None:
            names.append(self.name)

    root = Part("root", a=Part("a", b=[Part("b"), (Part("c"),)]), d={"x": Part("d")})
    for part in components(root).values():
        part.start()
    assert names == ["b", "c", "a", "d", "root"]


@dataclass(kw_only=True, eq=False)
class TwoCommands(Reach):
    """Two components of one class."""

    def build(self, world):
        super().build(world)
        self.first = UniformCommand(world, high=1.0, standing=0.0)
        self.others = [UniformCommand(world, high=1.0, standing=0.0)]


def test_two_components_of_one_class_draw_other_numbers() -> None:
    env = BatchedEnv(TwoCommands(), num_envs=4)
    assert {"", "first", "others.0", "actions.terms.arm"} <= components(env.task).keys()
    values = []
    for _ in range(2):
        env.reset(seed=0)
        values.append((env.task.first.value.clone(), env.task.others[0].value.clone()))
    assert (values[0][0] != values[0][1]).all()
    assert torch.equal(values[0][0], values[1][0]) and torch.equal(values[0][1], values[1][1])
    env.close()


@dataclass
class Plain:
    value: Any
    others: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    value: Any


class Noise:
    """What a user may write: an object that is called."""

    def __init__(self) -> None:
        self.state = torch.zeros(1)

    def __call__(self) -> torch.Tensor:
        return self.state


@pytest.mark.parametrize(
    ("hidden", "kind"),
    [
        ({torch.zeros(1)}, "set"),
        (frozenset([torch.zeros(1)]), "frozenset"),
        (deque([torch.zeros(1)]), "deque"),
        (deque([component({})]), "deque"),
        (Plain(torch.zeros(1)), "Plain"),
        ([Plain(torch.zeros(1))], "Plain"),
        ({"a": (deque([torch.zeros(1)]),)}, "deque"),
        (Plain(1.0, [torch.zeros(1)]), "Plain"),
        (deque([[torch.zeros(1)]]), "deque"),
        (Plain({"a": Plain(component({}))}), "Plain"),
        (Slotted(torch.zeros(1)), "Slotted"),
        (Noise(), "Noise"),
        (MappingProxyType({"a": torch.zeros(1)}), "mappingproxy"),
    ],
)
def test_a_hidden_tensor_is_refused_by_name(hidden: Any, kind: str) -> None:
    with pytest.raises(ArgumentError, match=rf"Component\.hidden.*is a {kind} that holds a tensor") as error:
        component({"hidden": hidden}).state_dict()
    assert "\n" not in str(error.value)


def test_what_holds_no_tensor_is_left_alone() -> None:
    attributes = {"names": {"a", "b"}, "queue": deque([1, 2]), "call": torch.zeros, "device": torch.device("cpu")}
    loop = Plain(1.0)
    loop.others.append(loop)
    root = component({**attributes, "loop": loop, "value": torch.ones(1)})
    assert list(root.state_dict()) == ["value"]


def test_a_module_is_part_of_the_state() -> None:
    root = component({"net": torch.nn.Linear(2, 1)})
    state = root.state_dict()
    expected = root.net(torch.ones(2)).item()
    torch.nn.init.zeros_(root.net.weight)
    root.load_state_dict(state)
    assert root.net(torch.ones(2)).item() == expected


# In an environment


@dataclass(kw_only=True, eq=False)
class Remembering(Reach):
    """A user's task, whose reward depends on everything that it remembers."""

    def build(self, world) -> None:
        super().build(world)
        self.history: list[torch.Tensor] = []
        self.buffers = {"slow": world.zeros(3), "count": torch.zeros(world.num_envs, dtype=torch.int64)}
        self.nested = {"pairs": [(world.zeros(), world.zeros())]}
        self.older = world.zeros()

    def reset(self, envs, rng) -> None:
        super().reset(envs, rng)
        self.history = [torch.where(envs[:, None], 0.0, old) for old in self.history]
        self.buffers = {
            name: torch.where(envs.view(-1, *[1] * (old.ndim - 1)), 0, old) for name, old in self.buffers.items()
        }

    def update(self, rng) -> None:
        self.history = [*self.history, self.arm.tool.position][-7:]
        self.buffers["slow"] = 0.9 * self.buffers["slow"] + 0.1 * self.arm.tool.position
        self.buffers["count"] = self.buffers["count"] + 1
        (old, older), *_ = self.nested["pairs"]
        self.nested["pairs"] = [(self.arm.joint_position[:, 0], old)]
        self.older = older

    def reward(self, evaluation) -> dict[str, torch.Tensor]:
        memory = self.buffers["slow"].sum(-1) + self.buffers["count"] + self.older
        return {**super().reward(evaluation), "memory": memory + sum(entry.sum(-1) for entry in self.history)}


@pytest.fixture
def remembering(make_core):
    env = make_core(4, task=Remembering)
    env.reset(seed=0)
    return env


def play(env, actions) -> list[torch.Tensor]:
    results = [env.step(torch.from_numpy(action)) for action in actions]
    return [
        leaf
        for result in results
        for leaf in (*result.observation.values(), *result[1:4], *result.metrics.values())
    ]


def test_a_state_holds_what_a_task_remembers(remembering, make_core) -> None:
    actions = random_actions(30, 4, 7)
    play(remembering, actions[:12])
    state = remembering.state_dict()
    expected = play(remembering, actions[12:])
    remembering.reset(seed=9)
    play(remembering, actions[:3])
    remembering.load_state_dict(state)
    assert same(play(remembering, actions[12:]), expected)

    other = make_core(4, task=Remembering, max_episode_steps=99)  # a scene of its own, which never took a step
    other.load_state_dict(state)
    assert same(play(other, actions[12:]), expected)


@pytest.mark.parametrize("steps", [0, 5, 12])
def test_an_evaluation_leaves_a_task_as_it_was(remembering, steps: int) -> None:
    """Also where the evaluation makes a history longer, or brings an attribute into being."""
    remembering.task.history = []
    remembering.reset(seed=1)
    actions = random_actions(20, 4, 7)
    play(remembering, actions[:steps])
    state = remembering.state_dict()
    with remembering.evaluation_mode():
        remembering.reset(seed=1_000)
        play(remembering, random_actions(9, 4, 7, seed=1))
        remembering.task.history.append(torch.zeros(4, 3))
        remembering.task.born = torch.zeros(4)
    after = remembering.state_dict()
    assert same(leaves(state), leaves(after)) and len(remembering.task.history) == min(steps, 7)
    assert not hasattr(remembering.task, "born")
    expected = play(remembering, actions[steps:])
    remembering.load_state_dict(state)
    assert same(play(remembering, actions[steps:]), expected)


def test_a_task_that_hides_a_tensor_is_refused_when_its_state_is_asked_for(make_core) -> None:
    class Hiding(ArmTask):
        def build(self, world) -> None:
            super().build(world)
            self.queue = deque([world.zeros()])

    env = make_core(2, task=Hiding)
    env.reset(seed=0)
    with pytest.raises(ArgumentError, match=r"Hiding\.queue is a deque that holds a tensor"):
        env.state_dict()

"""Holders in every trouble, through a real gateway: the right problem, the right entry, nothing left behind, and nobody
else the slower for it."""

import json
import re
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles

import httpx
import jwt
import pytest

from openapi.problem import problems
from providers.breaker import FAILURES
from sandbox.browser import Browser
from sandbox.servers import run_accord
from sandbox.world import DATABASE_FILE, World
from tests.certificates import certificate
from tests.conftest import REPOSITORY
from tests.hostile_holder import HostileHolder
from tests.journeys.citizen import authorize, log_in
from tests.journeys.deployment import Deployment, deployed, load_registry, workers_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(180)]

_FIELDS = ("quotient_familial.valeur",)
_OWN = {
    # dataset: its holder, and what its manifest says besides.
    "chez_un_autre": ("autre", ""),
    "meme_adresse": ("hostile", ""),
    "sous_tls": ("sous_tls", ""),
    "sans_adresse": ("sans_adresse", ""),
    "toujours_absent": ("autre", "maintenance = [{ from = 00:00:00, until = 00:00:00 }]"),
    "garde_un_moment": ("hostile", "cache_seconds = 60"),
}
_TROUBLED = "en_difficulte"
_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class _Scene:
    deployment: Deployment
    holder: HostileHolder

    @property
    def worker(self) -> int:
        (pid,) = workers_of(self.deployment.process)
        return pid

    def token(self, dataset: str = _TROUBLED, *, person: int = 0) -> str:
        detail = {"type": f"urn:accord:{dataset}", "datatypes": list(_FIELDS)}
        return self.deployment.token(person=person, detail=detail).decode()

    def ask(self, dataset: str = _TROUBLED, *, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token(dataset)}"}
        url = f"{self.deployment.url}/v1/data/{dataset}"
        return httpx.get(url, headers=headers, timeout=20, trust_env=False)

    def entry(self, request_id: str) -> tuple[dict[str, object], dict[str, object]]:
        """Skeleton and detail of the one entry of a request."""
        with sqlite3.connect(self.deployment.world.folder / DATABASE_FILE, timeout=10) as connection:
            (row,) = connection.execute(
                'SELECT leaf, detail FROM log_entries LEFT JOIN log_details USING ("index") WHERE instr(leaf, ?) > 0',
                (request_id.encode(),),
            ).fetchall()
        return json.loads(row[0]), json.loads(row[1])


def _manifest(dataset: str, holder: str, besides: str) -> str:
    text = (REPOSITORY / "providers/manifests/quotient_familial.toml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(limits|cache_seconds) = .*\n", "", text)
    text = text.replace('dataset = "quotient_familial"', f'dataset = "{dataset}"')
    text = text.replace('holder = "api_particulier"', f'holder = "{holder}"\nadapter = "api_particulier"')
    # A key of the whole manifest comes before its tables.
    return f"{besides}\n{text}"


def _habilitation(world: World, dataset: str) -> str:
    text = world.registry.read_text(encoding="utf-8")
    found = re.search(
        r"(?ms)^\[\[habilitation\]\]\nid = \"valombre-quotient-familial\".*?(?=^\[\[(?!habilitation\.))", text
    )
    assert found, text
    one = re.sub(r"(?m)^id = .*", f'id = "{dataset}"', found.group())
    return re.sub(r"(?m)^dataset = .*", f'dataset = "{dataset}"', one)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Scene]:
    folder = tmp_path_factory.mktemp("faults")
    manifests = folder / "manifests"
    manifests.mkdir()
    datasets = {_TROUBLED: ("hostile", ""), **_OWN}
    for dataset, (holder, besides) in datasets.items():
        (manifests / f"{dataset}.toml").write_text(_manifest(dataset, holder, besides), encoding="utf-8")
    chain, key = certificate(folder, "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)
    with HostileHolder() as hostile, HostileHolder(tls=tls) as untrusted:
        untrusted.behave("serves")
        holders = {
            "HOSTILE": hostile.url,
            "SOUS_TLS": untrusted.url,
            "SANS_ADRESSE": "https://no-such-holder.invalid",
            "AUTRE": "",
        }

        def register(world: World) -> None:
            with world.registry.open("a", encoding="utf-8") as registry:
                registry.write("\n" + "\n".join(_habilitation(world, one) for one in datasets))
            _point(world, holders)
            load_registry(world)

        with deployed(folder / "world", manifests=manifests, before=register) as running:
            yield _Scene(running, hostile)


def _point(world: World, holders: Mapping[str, str]) -> None:
    lines = []
    for name, url in holders.items():
        lines.append(f"ACCORD_HOLDERS__{name}__URL='{url or world.sandbox_url}'\n")
        lines.append(f"ACCORD_HOLDERS__{name}__TOKEN='{world.sandbox.holder_token}'\n")
        lines.append(f"ACCORD_HOLDERS__{name}__TIMEOUT='{_TIMEOUT}'\n")
    with (world.folder / ".env").open("a", encoding="utf-8") as file:
        file.writelines(lines)


@pytest.fixture(autouse=True)
def _well(scene: _Scene) -> None:
    """Each test begins with a holder that serves and has been heard to."""
    scene.holder.behave("serves")
    scene.holder.retry_after = 1
    deadline = time.monotonic() + 15
    while scene.ask().status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _check(scene: _Scene, answer: httpx.Response, slug: str, *, provider: str = "hostile") -> dict[str, object]:
    """The registered problem, without data, when to come back; its entry, of a holder's failure, under the same id."""
    document = answer.json()
    assert (answer.status_code, document["type"].rsplit("/", 1)[1]) == (problems()[slug].status, slug)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "data" not in document
    assert document["provider"] == provider
    assert answer.headers.get("retry-after") == (str(document["retry_in"]) if "retry_in" in document else None)
    skeleton, detail = scene.entry(document["instance"].removeprefix("urn:uuid:"))
    assert {name: skeleton[name] for name in ("kind", "outcome", "provider")} == {
        "kind": "failure",
        "outcome": slug,
        "provider": provider,
    }
    assert "cached" not in detail
    return dict(document)


_TROUBLES = {
    "refused": "holder_unreachable",
    "reset": "holder_unreachable",
    "silent": "holder_timeout",
    "drip": "holder_timeout",
    "garbage": "holder_answer_invalid",
    "wrong_schema": "holder_answer_invalid",
    "huge": "holder_answer_invalid",
    "busy": "holder_busy",
    "unauthorized": "holder_refused_access",
    "unknown": "citizen_unknown_to_holder",
    "failing": "holder_failed",
}


@pytest.mark.parametrize("trouble", sorted(_TROUBLES))
def test_each_trouble_has_its_problem_and_its_entry_and_leaves_no_socket_and_no_thread(
    scene: _Scene, trouble: str
) -> None:
    worker = scene.worker
    threads = _threads(worker)
    scene.holder.behave(trouble)
    _check(scene, scene.ask(), _TROUBLES[trouble])
    _until(lambda: not _sockets(worker, scene.holder.port))
    _until(lambda: _threads(worker) <= threads)


def test_a_holder_that_says_to_wait_is_not_called_until_then(scene: _Scene) -> None:
    scene.holder.retry_after = 2
    scene.holder.behave("busy")
    assert _check(scene, scene.ask(), "holder_busy")["retry_in"] == 2
    scene.holder.behave("serves")
    called = scene.holder.connections
    _check(scene, scene.ask(), "holder_busy")
    assert scene.holder.connections == called
    time.sleep(2)
    assert scene.ask().status_code == 200


@pytest.mark.parametrize("dataset", ["sous_tls", "sans_adresse"])
def test_a_certificate_nobody_signed_and_a_name_nobody_has_are_a_holder_that_cannot_be_reached(
    scene: _Scene, dataset: str
) -> None:
    threads = _threads(scene.worker)
    _check(scene, scene.ask(dataset), "holder_unreachable", provider=dataset)
    _until(lambda: _threads(scene.worker) <= threads)


def test_a_holder_that_is_not_there_is_called_five_times_then_left_alone_and_found_again(scene: _Scene) -> None:
    with scene.holder.absent():
        for _ in range(FAILURES):
            _check(scene, scene.ask(), "holder_unreachable")
        # All that lies behind the address, and at once.
        for dataset in (_TROUBLED, "meme_adresse"):
            assert 1 <= int(str(_check(scene, scene.ask(dataset), "holder_unreachable")["retry_in"])) <= 5
        assert scene.ask("chez_un_autre").status_code == 200
    called = scene.holder.connections
    _check(scene, scene.ask(), "holder_unreachable")
    assert scene.holder.connections == called
    _until(lambda: scene.ask().status_code == 200, seconds=10)
    assert scene.ask("meme_adresse").status_code == 200
    said = (scene.deployment.world.folder / "accord.log").read_text()
    assert "holder_cut_off" in said
    assert '"what": "hostile"' in said


def test_a_dataset_that_fails_is_left_alone_and_its_neighbour_at_the_same_address_is_not(scene: _Scene) -> None:
    scene.holder.behave("failing")
    for _ in range(FAILURES):
        _check(scene, scene.ask(), "holder_failed")
    scene.holder.behave("serves")
    _check(scene, scene.ask(), "holder_unreachable")
    assert scene.ask("meme_adresse").status_code == 200
    _until(lambda: scene.ask().status_code == 200, seconds=10)


def test_an_announced_absence_says_until_when(scene: _Scene) -> None:
    document = _check(scene, scene.ask("toujours_absent"), "holder_in_maintenance", provider="autre")
    assert int(str(document["retry_in"])) >= 7 * 86_400


def test_while_one_holder_drips_anothers_answers_come_as_ever(scene: _Scene) -> None:
    """Prints the figures; what is asserted is that nobody waited for the dripping one."""
    alone = _times(scene, 100)
    scene.holder.behave("drip")
    token, dripping = scene.token(), threading.Event()

    def drip() -> None:
        while not dripping.is_set():
            scene.ask(token=token)
            # Once it is left alone its callers are refused at once: the machine's load must stay what it was.
            time.sleep(0.5)

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(drip) for _ in range(8)]
        beside = _times(scene, 100)
        dripping.set()
    for caller in callers:
        caller.result()
    print(f"another holder's answers, p50 and p99 in ms: alone {_figures(alone)}, beside {_figures(beside)}")  # noqa: T201
    assert max(beside) < _TIMEOUT


def test_what_a_manifest_lets_be_kept_is_served_without_the_holder_logged_as_such_and_emptied_by_an_end(
    scene: _Scene,
) -> None:
    deployment = scene.deployment
    consent = authorize(_asking_for(deployment, "garde_un_moment"), person=0)
    grant = jwt.decode(consent, options={"verify_signature": False})["grant_id"]
    called = scene.holder.connections
    first, second = (scene.ask("garde_un_moment", token=consent) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200), second.text
    assert scene.holder.connections == called + 1
    assert first.json()["data"] == second.json()["data"]
    assert first.json()["meta"]["retrieved_at"] == second.json()["meta"]["retrieved_at"]
    details = [scene.entry(answer.json()["meta"]["access_id"])[1] for answer in (first, second)]
    assert [detail.get("cached") for detail in details] == [None, True]
    # A holder in trouble is not missed meanwhile.
    scene.holder.behave("silent")
    assert scene.ask("garde_un_moment", token=consent).status_code == 200
    scene.holder.behave("serves")
    run_accord(["grants", "suspend", grant], folder=deployment.world.folder)
    _until(lambda: scene.ask("garde_un_moment", token=consent).status_code == 403)
    run_accord(["grants", "resume", grant], folder=deployment.world.folder)
    _until(lambda: scene.ask("garde_un_moment", token=consent).status_code == 200)
    assert scene.holder.connections == called + 2


def test_when_a_withdrawal_is_acknowledged_nothing_is_kept_about_its_citizen_any_more(scene: _Scene) -> None:
    deployment, dataset = scene.deployment, "garde_un_moment"
    with Browser() as browser:
        consent = authorize(_asking_for(deployment, dataset), person=1)
        grant = jwt.decode(consent, options={"verify_signature": False})["grant_id"]
        # Another authorisation of hers, which stands: only under one that stands can be seen what is kept.
        other = scene.token(dataset, person=1)
        called = scene.holder.connections
        served = [scene.ask(dataset, token=token).status_code for token in (consent, other, other)]
        assert (served, scene.holder.connections) == ([200, 200, 200], called + 1)
        page = f"{deployment.url}/mes-autorisations/{grant}/retrait"
        asked = log_in(deployment, browser, browser.open(page), person=1)
        asked = asked if asked.url == page else browser.open(page)
        browser.press(asked.button(action="/retrait"))
        assert scene.ask(dataset, token=other).status_code == 200
        assert scene.holder.connections == called + 2
        assert scene.ask(dataset, token=consent).status_code == 403


def _asking_for(deployment: Deployment, dataset: str) -> Deployment:
    """The same deployment, as a portal that asks for another dataset sees it."""
    sandbox = deployment.world.sandbox
    portal = replace(sandbox.portal, dataset=dataset, fields=_FIELDS)
    return replace(deployment, world=replace(deployment.world, sandbox=replace(sandbox, portal=portal)))


def _times(scene: _Scene, count: int) -> list[float]:
    token, times = scene.token("chez_un_autre"), []
    url, headers = f"{scene.deployment.url}/v1/data/chez_un_autre", {"Authorization": f"Bearer {token}"}
    with httpx.Client(trust_env=False, timeout=20) as client:
        for _ in range(count):
            began = time.perf_counter()
            assert client.get(url, headers=headers).status_code == 200
            times.append(time.perf_counter() - began)
    return times


def _figures(times: list[float]) -> str:
    cuts = quantiles(times, n=100)
    return f"{cuts[49] * 1000:.1f} {cuts[98] * 1000:.1f}"


def _until(true: Callable[[], bool], *, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _sockets(pid: int, port: int) -> set[str]:
    """Inodes of a process's TCP sockets whose other end is ``port``."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    remote = {f"socket:[{row[9]}]" for row in rows if int(row[2].split(":")[1], 16) == port}
    mine = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        # One that was closed meanwhile.
        with suppress(OSError):
            mine.add(str(descriptor.readlink()))
    return remote & mine

"""The page that checks a proof, in a real Chromium, with proofs of a real log: what is true passes, nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from audit.checkpoint import Checkpoint, NoteSigner
from audit.entry import canonical, detail_bytes, leaf_of
from audit.merkle import leaf_hash
from audit.proof import write_proof
from audit.verification import inclusion_path, root_of_leaves
from audit.verifier import VerificationFailed, verify_proof_file
from tests.browsing import axe_violations
from tests.consent.pages.browser import Served
from tests.consent.pages.real_log import entry, log_of
from tests.consent.pages.scene import CITIZEN, LOG

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]

HOSTILE = '<img src="/x" onerror="document.title=1">'
ENTRIES = [
    entry(),
    entry(kind="refusal", outcome="grant_withdrawn"),
    entry(purpose=HOSTILE, recipient=HOSTILE, dataset="constructor", fields=[HOSTILE, "__proto__"]),
    entry(kind="grant.given"),
    *(entry(request_id=str(number)) for number in range(8)),
    entry(
        fields=["adresse.code_postal_ville", "quotient_familial.valeur"],
        rules=["tranche=bracket(quotient_familial.valeur,500,800)"],
    ),
]
FILE, SIGNATURE, PATH, SEAL = "file", "signature", "path", "seal"
CHECKS = [FILE, SIGNATURE, PATH, SEAL]
IMPORT = "const { verifyProofFile } = await import(document.querySelector('script').src);"


@pytest.fixture(scope="module")
def proofs(tmp_path_factory) -> Iterator[list[bytes]]:
    """The proof files of every entry, as a citizen downloads them."""
    with log_of(tmp_path_factory.mktemp("log"), ENTRIES) as accesses:
        files = [accesses.proof(CITIZEN.pseudonym, index) for index in range(len(ENTRIES))]
        yield [file for file in files if file is not None]


@pytest.fixture(scope="module")
def of_another_log(tmp_path_factory) -> Iterator[bytes]:
    """A proof of a log that has the same name and another key."""
    with log_of(tmp_path_factory.mktemp("other"), [entry()], key=NoteSigner.generate(LOG.name)) as accesses:
        yield accesses.proof(CITIZEN.pseudonym, 0) or b""


def choose(page: Page, content: bytes) -> None:
    page.locator("#preuve").set_input_files(
        {"name": "accord-preuve-0.json", "mimeType": "application/json", "buffer": content}
    )
    expect(page.locator("[data-result] li")).to_have_count(len(CHECKS))


def states(page: Page) -> list[str]:
    return [str(item.get_attribute("class")) for item in page.locator("[data-result] li").all()]


def refused_at(check: str) -> list[str]:
    at = CHECKS.index(check)
    return ["passed"] * at + ["refused"] + ["skipped"] * (len(CHECKS) - at - 1)


def flipped(text: str, at: int) -> str:
    """The text with the lowest bit of a character turned, or another letter where base64 has no such character."""
    turned = chr(ord(text[at]) ^ 1)
    if not turned.isalnum() and (text[at].isalnum() or text[at] in "+/"):
        turned = "B" if text[at] == "A" else "A"
    return text[:at] + turned + text[at + 1 :]


def changed(file: bytes, name: str, change) -> bytes:
    parts = json.loads(file)
    return json.dumps(parts | {name: change(parts[name])}).encode()


def line_of(proof: str, number: int) -> int:
    """Where a line of the proof starts."""
    return sum(len(line) + 1 for line in proof.split("\n")[:number])


def test_a_proof_is_verified_and_said_in_words(opened, proofs):
    page = opened("/verifier")
    choose(page, proofs[0])
    assert "Preuve vérifiée" in page.get_by_role("status").inner_text()
    assert states(page) == ["passed"] * 4
    said = page.locator("[data-result] dl").inner_text()
    for words in (
        "Commune de Valombre",
        "Portail famille",
        "Quotient familial",
        "Code postal et commune",
        "Calculer le tarif de la crèche",
        "23 novembre 2026",
        "09:05",
        "Votre consentement",
        "Transmis",
        f"registre qui en comptait {len(ENTRIES)}",
    ):
        assert words in said


def test_a_stranger_reads_identifiers_where_names_are_hers_alone(served: Served, chromium: Browser, proofs):
    context = chromium.new_context(locale="en")
    page = context.new_page()
    page.goto(served.url + "/verifier")
    choose(page, proofs[0])
    said = page.locator("[data-result] dl").inner_text()
    for words in ("SIRET 21350238800019", "portail-famille", "tarification creche", "Postcode and town", "Passed on"):
        assert words in said
    assert "Valombre" not in page.content()
    context.close()


def test_a_refusal_and_an_authorisation_are_not_told_as_accesses(opened, proofs):
    page = opened("/verifier")
    choose(page, proofs[1])
    expect(page.locator("[data-result] dl")).to_contain_text("Rien transmis")
    choose(page, proofs[3])
    expect(page.locator("[data-result] dl")).to_contain_text("Autorisation donnée")


def test_a_derived_answer_is_not_told_as_the_field_that_it_is_about(opened, proofs):
    page = opened("/verifier")
    choose(page, proofs[-1])
    said = page.locator("[data-result] dl").inner_text()
    assert "Code postal et commune\n" in said
    assert "Montant du quotient familial : non transmis, seule la réponse à cette règle" in said.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "tranche=bracket(quotient_familial.valeur,500,800)" in said


def test_what_an_entry_says_is_shown_as_text_whatever_it_says(opened, proofs):
    page = opened("/verifier")
    choose(page, proofs[2])
    expect(page.locator("[data-result] dl")).to_contain_text(HOSTILE)
    assert page.locator("[data-result] img").count() == 0
    assert page.title() != "1"


TAMPERINGS = {
    "a bit of the entry": ("entry", lambda text: flipped(text, len(text) // 2), PATH),
    "a digit of the salt": ("salt", lambda text: text[:5] + ("1" if text[5] == "0" else "0") + text[6:], SEAL),
    "a bit of the detail": ("detail", lambda text: flipped(text, len(text) // 2), SEAL),
    "a bit of a hash": ("proof", lambda text: flipped(text, line_of(text, 3) + 7), PATH),
    "the index": ("proof", lambda text: text.replace("\nindex 0\n", "\nindex 1\n"), PATH),
    "an index out of the tree": ("proof", lambda text: text.replace("\nindex 0\n", "\nindex 13\n"), PATH),
    "a hash too few": ("proof", lambda text: text[: line_of(text, 5)] + text[line_of(text, 6) :], PATH),
    "a bit of the checkpoint's root": ("proof", lambda text: flipped(text, text.rindex("\n\n") - 9), SIGNATURE),
    "the checkpoint's size": ("proof", lambda text: text.replace("\n13\n", "\n12\n"), SIGNATURE),
    "the checkpoint's origin": ("proof", lambda text: text.replace("\naccord.example", "\naccurd.example"), SIGNATURE),
    "a bit of the signature": ("proof", lambda text: flipped(text, len(text) - 30), SIGNATURE),
    "the id of the key": ("proof", lambda text: flipped(text, text.rindex(" ") + 1), SIGNATURE),
    "the name of the key": ("proof", lambda text: text.replace("— accord", "— accurd"), SIGNATURE),
    "no signature": ("proof", lambda text: text[: text.rindex("\n\n") + 2], FILE),
    "another header": ("proof", lambda text: text.replace("proof@v1", "proof@v2"), FILE),
    "a salt that is not hexadecimal": ("salt", lambda text: "zz" + text[2:], FILE),
    "a detail that is not text": ("detail", lambda _: {"citizen": "c"}, FILE),
    "half a character": ("entry", lambda text: "\ud800" + text, FILE),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_each_tampering_is_found_and_nothing_of_the_entry_is_shown(opened, proofs, tampering):
    name, change, check = TAMPERINGS[tampering]
    content = changed(proofs[0], name, change)
    assert json.loads(content) != json.loads(proofs[0])
    with pytest.raises(VerificationFailed):
        verify_proof_file(content, LOG.vkey)
    page = opened("/verifier")
    choose(page, content)
    assert states(page) == refused_at(check)
    assert "Preuve refusée" in page.get_by_role("status").inner_text()
    assert page.locator("[data-result] dl").count() == 0


def test_the_proof_of_another_log_is_refused_by_its_key(opened, of_another_log):
    page = opened("/verifier")
    choose(page, of_another_log)
    assert states(page) == refused_at(SIGNATURE)
    assert "pas signée par la clé de ce registre" in page.get_by_role("status").inner_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"entry":1,"salt":2,"detail":3,"proof":4}'],
    ids=["empty", "no parts", "a list", "null", "not UTF-8", "deep", "numbers"],
)
def test_what_is_not_a_proof_is_told_so(opened, content):
    page = opened("/verifier")
    choose(page, content)
    assert states(page) == refused_at(FILE)
    assert "incomplet ou abîmé" in page.get_by_role("status").inner_text()


@pytest.mark.parametrize("kept", [0.2, 0.7, 0.99])
def test_a_truncated_file_is_told_so(opened, proofs, kept):
    page = opened("/verifier")
    choose(page, proofs[0][: int(len(proofs[0]) * kept)])
    assert states(page) == refused_at(FILE)


def test_a_huge_file_is_refused_without_being_read_whole(opened, tmp_path: Path):
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(2_000_000_000)
    page = opened("/verifier")
    page.locator("#preuve").set_input_files(huge)
    expect(page.get_by_role("status")).to_contain_text("plus de 1 Mo", timeout=5_000)
    assert states(page) == refused_at(FILE)


def test_any_changed_character_of_a_proof_is_found(opened, proofs):
    """Each character of each part, one at a time, by the module that the page runs."""
    page = opened("/verifier")
    passed = page.evaluate(
        f"""async ([text, vkey]) => {{
            {IMPORT}
            const parts = JSON.parse(text), passed = [];
            const check = async (file) => verifyProofFile(new TextEncoder().encode(JSON.stringify(file)), vkey);
            await check(parts);
            for (const name of Object.keys(parts)) for (let at = 0; at < parts[name].length; at++) {{
                const code = parts[name].charCodeAt(at) ^ 1;
                const other = parts[name].slice(0, at) + String.fromCharCode(code) + parts[name].slice(at + 1);
                await check({{ ...parts, [name]: other }}).then(() => passed.push([name, at]), () => null);
            }}
            return passed;
        }}""",
        [proofs[0].decode(), LOG.vkey],
    )
    assert passed == []


def test_every_entry_of_every_small_tree_is_verified(opened):
    leaves = [json.loads(_sealed(number)) for number in range(33)]
    files = []
    for size in range(1, len(leaves) + 1):
        hashes = [leaf_hash(one["entry"].encode()) for one in leaves[:size]]
        note = LOG.sign(Checkpoint(LOG.name, size, root_of_leaves(hashes)))
        files += [leaves[at] | {"proof": write_proof(at, inclusion_path(hashes, at), note)} for at in range(size)]
    verified = opened("/verifier").evaluate(
        f"""async ([files, vkey]) => {{
            {IMPORT}
            let verified = 0;
            for (const file of files) {{
                await verifyProofFile(new TextEncoder().encode(JSON.stringify(file)), vkey);
                verified++;
            }}
            return verified;
        }}""",
        [files, LOG.vkey],
    )
    assert verified == len(files) == 33 * 34 // 2


def _sealed(number: int) -> str:
    salt, detail = bytes([number]) * 32, detail_bytes({"citizen": "c", "number": number})
    leaf = leaf_of({"v": 1, "kind": "access", "outcome": "ok"}, salt=salt, detail=detail)
    return canonical({"entry": leaf.decode(), "salt": salt.hex(), "detail": detail.decode()}).decode()


@pytest.mark.parametrize(
    "lacking",
    [
        "crypto.subtle.importKey = async () => { throw new DOMException('', 'NotSupportedError'); }",
        "Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })",
    ],
    ids=["no Ed25519", "no WebCrypto"],
)
def test_a_browser_that_cannot_check_says_so_and_judges_nothing(served: Served, chromium: Browser, proofs, lacking):
    context = chromium.new_context(locale="fr")
    context.add_init_script(lacking)
    page = context.new_page()
    page.goto(served.url + "/verifier")
    choose(page, proofs[0])
    assert states(page) == ["skipped"] * 4
    said = page.get_by_role("status").inner_text()
    assert "ne sait pas vérifier" in said
    assert "refusée" not in said
    context.close()


def test_without_javascript_the_page_says_how_else(served: Served, chromium: Browser):
    context = chromium.new_context(locale="fr", java_script_enabled=False)
    page = context.new_page()
    page.goto(served.url + "/verifier")
    assert "JavaScript" in page.inner_text("main")
    assert not page.locator("#preuve").is_visible()
    assert "accord audit verify-proof" in page.inner_text("main")
    context.close()


def test_the_file_stays_in_the_browser_which_forbids_the_page_to_send(served: Served, chromium: Browser, proofs):
    context = chromium.new_context(locale="fr")
    page = context.new_page()
    page.goto(served.url + "/verifier", wait_until="networkidle")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    choose(page, proofs[0])
    assert sent == []
    assert (
        page.evaluate("fetch('/verifier', {method: 'POST', body: 'x'}).then(() => 'sent', () => 'refused')")
        == "refused"
    )
    context.close()


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_either_verdict_and_nothing_sticks_out(opened, proofs, width, language, scheme):
    page = opened("/verifier", width=width, language=language, scheme=scheme)
    for content in (proofs[0], proofs[2], b"{}"):
        choose(page, content)
        assert axe_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_needs_no_login_and_gives_the_key_and_its_own_script_alone(stranger):
    reply = stranger.get("/verifier")
    assert reply.status_code == 200
    assert f'data-log-key="{LOG.vkey}"' in reply.text.replace("&#43;", "+")
    assert "script-src 'self';" in reply.headers["content-security-policy"]
    assert reply.text.count("<script") == 1
    script = stranger.get("/static/verify.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "innerHTML" not in script.text
    assert (stranger.get("/verifier?lang=en").headers["content-language"], "Proof file" in reply.text) == ("en", False)


def test_my_accesses_lead_to_the_page(camille):
    assert 'href="/verifier"' in camille.get("/mes-acces").text

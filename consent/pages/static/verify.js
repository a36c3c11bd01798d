// Checks a proof of access in the browser, as audit/verifier.py does, and says what the entry tells.
//
// The file never leaves this page: nothing here sends, and the page's policy (default-src 'none') would refuse it.
// What the file holds is hostile until proven: it is bounded, every check fails closed, nothing of it is shown before
// all of them pass, and then as text only. Specifications: C2SP tlog-proof, signed-note and tlog-checkpoint; RFC 9162.

const MAX_FILE_BYTES = 1_000_000;
const MAX_PROOF_LENGTH = 65_536;
const MAX_HASHES = 64;
const MAX_SIZE = 2n ** 63n - 1n;
const [HEADER, HASH_BYTES, KEY_ID_BYTES, ED25519] = ["c2sp.org/tlog-proof@v1", 32, 4, 1];
const CHECKS = ["file", "signature", "path", "seal"];

/** The file does not prove what it claims: `check` is one of CHECKS, `reason` names the sentence that says why. */
export class Failed extends Error {
  constructor(check, reason = check) {
    super(reason);
    this.check = check;
    this.reason = reason;
  }
}

/** This browser cannot check Ed25519 signatures: neither a yes nor a no. */
export class Unsupported extends Error {}

/**
 * Check a file `{"entry", "salt", "detail", "proof"}` (Uint8Array) against the log's key `name+id+base64`.
 * The entry must be in the tree that the checkpoint signs, the detail what the entry seals. Throws Failed, Unsupported.
 */
export async function verifyProofFile(content, vkey) {
  const file = readFile(content);
  const proof = readProof(file.proof);
  const checkpoint = await openNote(proof.note, vkey);
  await checkInclusion(await sha256(Uint8Array.of(0), file.entry), proof, checkpoint);
  const entry = readObject(file.entry, "seal");
  readObject(file.detail, "seal");
  if (entry.sealed !== hex(await sha256(file.salt, file.detail))) throw new Failed("seal");
  return { index: proof.index, size: checkpoint.size, entry };
}

function readFile(content) {
  if (content.length > MAX_FILE_BYTES) throw new Failed("file", "large");
  const file = readObject(content, "file");
  const { salt, proof } = file;
  if (typeof salt !== "string" || !/^([0-9a-f]{2})*$/i.test(salt)) throw new Failed("file");
  if (typeof proof !== "string" || proof.length > MAX_PROOF_LENGTH) throw new Failed("file");
  const salted = Uint8Array.from(salt.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return { entry: utf8(file.entry), detail: utf8(file.detail), salt: salted, proof };
}

/** C2SP tlog-proof: header, optional extra line, index, hashes, an empty line, the signed checkpoint. */
function readProof(text) {
  const gap = text.indexOf("\n\n");
  const lines = text.slice(0, gap).split("\n");
  if (gap < 0 || lines.shift() !== HEADER) throw new Failed("file");
  if (lines[0]?.startsWith("extra ")) lines.shift();
  const index = decimal(lines.shift()?.match(/^index (.*)$/)?.[1], "file");
  const path = lines.map((line) => base64(line, "file"));
  if (path.length > MAX_HASHES || path.some((hash) => hash.length !== HASH_BYTES)) throw new Failed("file");
  return { index, path, note: text.slice(gap + 2) };
}

/** C2SP signed-note: exactly one signature by the log's key, name and id; those of others are passed over. */
async function openNote(note, vkey) {
  const key = await readKey(vkey);
  const gap = note.lastIndexOf("\n\n");
  if (gap < 0 || !note.endsWith("\n") || note.length < gap + 3) throw new Failed("file");
  const body = note.slice(0, gap + 1);
  const signatures = note.slice(gap + 2, -1).split("\n").map(readSignature);
  const ours = signatures.filter((one) => one.name === key.name && one.id === key.id);
  if (ours.length !== 1) throw new Failed("signature", "key");
  const right = await crypto.subtle.verify({ name: "Ed25519" }, key.crypto, ours[0].signature, utf8(body));
  if (!right) throw new Failed("signature");
  const checkpoint = readCheckpoint(body);
  if (checkpoint.origin !== key.name) throw new Failed("signature", "key");
  return checkpoint;
}

function readSignature(line) {
  const words = line.split(" ");
  if (words.length !== 3 || words[0] !== "\u2014" || !words[1]) throw new Failed("signature");
  const raw = base64(words[2], "signature");
  return { name: words[1], id: hex(raw.slice(0, KEY_ID_BYTES)), signature: raw.slice(KEY_ID_BYTES) };
}

/** The log's key is the page's own: one that cannot be read is a defect of the deployment, told as another key. */
async function readKey(vkey) {
  if (!globalThis.crypto?.subtle) throw new Unsupported();
  const [, name, id, encoded] = vkey.match(/^([^+\s]+)\+([0-9a-f]{8})\+(.*)$/) ?? [];
  if (!name) throw new Failed("signature", "key");
  const raw = base64(encoded, "signature");
  const expected = hex((await sha256(utf8(`${name}\n`), raw)).slice(0, KEY_ID_BYTES));
  if (raw[0] !== ED25519 || raw.length !== 1 + HASH_BYTES || expected !== id) throw new Failed("signature", "key");
  const imported = crypto.subtle.importKey("raw", raw.slice(1), { name: "Ed25519" }, false, ["verify"]);
  return { name, id, crypto: await imported.catch(() => Promise.reject(new Unsupported())) };
}

/** C2SP tlog-checkpoint: origin, size, root; extension lines are passed over. */
function readCheckpoint(body) {
  const lines = body.slice(0, -1).split("\n");
  if (lines.length < 3 || lines.some((line) => !line)) throw new Failed("signature");
  const root = base64(lines[2], "signature");
  if (root.length !== HASH_BYTES) throw new Failed("signature");
  return { origin: lines[0], size: decimal(lines[1], "signature"), root };
}

/** RFC 9162 section 2.1.3.2. */
async function checkInclusion(leaf, { index, path }, { size, root }) {
  if (index >= size) throw new Failed("path");
  let [position, last, found] = [index, size - 1n, leaf];
  const rise = () => ([position, last] = [position >> 1n, last >> 1n]);
  for (const sibling of path) {
    if (last === 0n) throw new Failed("path");
    const onRight = position & 1n || position === last;
    found = await sha256(Uint8Array.of(1), ...(onRight ? [sibling, found] : [found, sibling]));
    while (onRight && position && !(position & 1n)) rise();
    rise();
  }
  if (last !== 0n || hex(found) !== hex(root)) throw new Failed("path");
}

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The UTF-8 bytes of a string; one with lone surrogates has none. */
function utf8(text) {
  if (typeof text !== "string" || /\p{Surrogate}/u.test(text)) throw new Failed("file");
  return new TextEncoder().encode(text);
}

function readObject(bytes, check) {
  const value = attempt(() => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), check);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Failed(check);
  return value;
}

function decimal(text, check) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text ?? "") || BigInt(text) > MAX_SIZE) throw new Failed(check);
  return BigInt(text);
}

/** The bytes of the one base64 that they have. */
function base64(text, check) {
  const raw = attempt(() => atob(text), check);
  if (btoa(raw) !== text) throw new Failed(check);
  return Uint8Array.from(raw, (one) => one.charCodeAt(0));
}

function attempt(read, check) {
  try {
    return read();
  } catch {
    throw new Failed(check);
  }
}

// The page: what is shown, by textContent alone. `words` are the page's sentences in its language.

function start(section) {
  const words = JSON.parse(section.dataset.words);
  const input = section.querySelector("input[type=file]");
  section.hidden = false;
  input.addEventListener("change", async () => {
    const file = input.files[0];
    const verdict = file && (await judge(file, section.dataset.logKey));
    // Another file may have been chosen meanwhile.
    if (file && input.files[0] === file) show(section, words, verdict);
  });
}

async function judge(file, vkey) {
  try {
    // One byte more than is allowed says that it is too large; no more of it is read.
    const content = await file.slice(0, MAX_FILE_BYTES + 1).arrayBuffer();
    return { state: "verified", ...(await verifyProofFile(new Uint8Array(content), vkey)) };
  } catch (error) {
    if (error instanceof Unsupported) return { state: "unsupported" };
    const { check, reason } = error instanceof Failed ? error : new Failed("file");
    return { state: "failed", check, reason };
  }
}

function show(section, words, verdict) {
  const headline = section.querySelector("[role=status]");
  headline.className = verdict.state === "verified" ? "done" : "warning";
  headline.textContent = words[verdict.state] + (verdict.reason ? ` ${words[`failed_${verdict.reason}`]}` : "");
  const result = section.querySelector("[data-result]");
  result.replaceChildren(checkList(words, verdict));
  if (verdict.state === "verified") result.append(element("h2", words.entry), entryList(words, verdict));
}

function checkList(words, verdict) {
  const reached = verdict.state === "verified" ? CHECKS.length : CHECKS.indexOf(verdict.check);
  const list = element("ol", "", "checks");
  for (const [at, check] of CHECKS.entries()) {
    const state = at < reached ? "passed" : at === reached ? "refused" : "skipped";
    const item = element("li", "", state);
    item.append(element("strong", words[state]), ` ${words[`check_${check}`]}`);
    list.append(item);
  }
  return list;
}

function entryList(words, { index, size, entry }) {
  const list = element("dl");
  const add = (label, ...lines) => {
    const row = element("div");
    const said = element("dd");
    said.append(...lines.filter(Boolean).map((line) => element("p", line)));
    row.append(element("dt", words[label]), said);
    if (said.hasChildNodes()) list.append(row);
  };
  const label = (field) => named(words.fields, `${entry.dataset} ${field}`, () => field);
  const answered = rules(entry);
  const fields = [entry.fields ?? []].flat().map((field) => {
    const answers = answered.filter((rule) => rule.field === field).map((rule) => rule.text);
    if (!answers.length) return `– ${label(field)}`;
    return `– ${words.derived.replace("{label}", () => label(field)).replace("{rule}", () => answers.join(" ; "))}`;
  });
  add("outcome", outcome(words, entry));
  add("when", moment(entry.time));
  add("who", named(words.organisations, entry.recipient, (siret) => `SIRET ${siret}`));
  add("application", named(words.applications, entry.client));
  add("information", named(words.datasets, entry.dataset), ...fields);
  add("purpose", named(words.purposes, entry.purpose, (code) => code.replaceAll("_", " ")));
  add("ground", named(words.bases, entry.legal_basis));
  add("place", words.place_of.replace("{index}", index).replace("{size}", size));
  return list;
}

/** Rules that were answered, such as "tranche=bracket(quotient_familial.valeur,500,800)", and their fields. */
function rules(entry) {
  const texts = [entry.rules ?? []].flat().map(String);
  return texts.map((text) => ({ text, field: /^[a-z0-9_]+=[a-z_]+\(([^,)]+)/.exec(text)?.[1] }));
}

function outcome(words, { kind, outcome: code }) {
  if (kind !== "access" && Object.hasOwn(words.kinds, kind)) return words.kinds[kind];
  return code === "ok" ? words.sent : words.not_sent.replace("{reason}", () => named(words.outcomes, code));
}

function moment(time) {
  const at = new Date(time);
  const style = { dateStyle: "long", timeStyle: "medium", timeZone: "Europe/Paris" };
  return isNaN(at) ? String(time ?? "") : new Intl.DateTimeFormat(document.documentElement.lang, style).format(at);
}

/** The words of a code; one without words is said as it stands. */
function named(names, code, otherwise = (text) => text) {
  const text = String(code ?? "");
  return Object.hasOwn(names, text) ? names[text] : text && otherwise(text);
}

function element(name, textContent = "", className = "") {
  return Object.assign(document.createElement(name), { textContent, className });
}

document.querySelectorAll("[data-log-key]").forEach(start);

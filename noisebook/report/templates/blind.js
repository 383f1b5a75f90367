/* A listening test: trials in an order of the listener's own, and a sheet to save at the end. */
const kit = JSON.parse(document.querySelector("#kit").textContent);
const kept = `noisebook ${kit.kit}`; // where this browser keeps what was answered
const wished = new URLSearchParams(location.search).get("seed"); // ?seed=7 repeats an order
let seed = wished === null ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(wished) >>> 0;
let random = mulberry32(seed);
let order = []; // the trials, once their number is known
let rounds = Infinity; // of ABX, which repeats its trials
let sheet = []; // lines of trials that are done
let listener = "";
let saved = false;

/* Tommy Ettinger's generator: small, and the same in every browser. */
function mulberry32(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(list) { // Fisher and Yates
  const copy = [...list];
  for (let last = copy.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [copy[last], copy[other]] = [copy[other], copy[last]];
  }
  return copy;
}

/* One trial on the page. `versions` are [name, code]; a version counts as heard once it was chosen while playing. */
class Trial extends Transport {
  constructor(trial, position, versions) {
    const root = document.querySelector("#trial").content.firstElementChild.cloneNode(true);
    super(root, new SyncedSounds(versions.map(([, code]) => ({uri: kit.sounds[code], gain: 0})), rateOf(kit.sounds[versions[0][1]])), 1);
    Object.assign(this, {trial, versions, heard: new Set(), began: performance.now(), training: position < 0});
    this.part(".count").textContent = this.training ? "Training" : `Trial ${position + 1} of ${order.length}`;
    this.part(".hint").hidden = !this.training;
    if (this.training) this.part(".next").textContent = "Begin the test";
    this.part(".title").textContent = trial.title;
    this.part(".next").addEventListener("click", () => this.finish(position));
    this.build();
    this.buttons = [...root.querySelectorAll(".sound")];
    this.buttons.forEach((button, index) => button.addEventListener("click", () => this.choose(index)));
    this.choose(0);
    this.part(".time").textContent = "";
  }

  get elapsed() { return ((performance.now() - this.began) / 1000).toFixed(1); }

  async toggle() {
    await super.toggle();
    if (this.sounds.playing) this.hear(this.sounds.chosen);
  }

  choose(index) {
    this.sounds.choose(index);
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
    this.part(".current").textContent = this.versions[index][0];
    if (this.sounds.playing) this.hear(index);
  }

  hear(index) {
    this.heard.add(index);
    this.update();
  }

  key(key) {
    const letter = key.toUpperCase();
    const index = this.versions.findIndex(([name]) => name === letter || (letter === "R" && name === "Reference"));
    if (key.length === 1 && index >= 0) {
      this.choose(index);
      return true;
    }
    return super.key(key);
  }

  update() {
    const missing = this.training ? this.unheard() : this.missing();
    this.part(".missing").textContent = missing;
    this.part(".next").disabled = missing !== "";
  }

  unheard() {
    const open = this.versions.filter((_, index) => !this.heard.has(index)).map(([name]) => name);
    return open.length ? `To be heard: ${open.join(", ")}` : "";
  }

  finish(position) {
    if (this.sounds.playing) this.sounds.stop();
    if (!this.training) sheet.push(...this.lines());
    begin(position + 1);
  }
}

class MushraTrial extends Trial {
  constructor(trial, position) {
    const letters = shuffled(trial.codes).map((code, index) => [String.fromCharCode(65 + index), code]);
    super(trial, position, [["Reference", trial.reference], ...letters]);
    this.update();
  }

  build() {
    this.ratings = new Map();
    for (const [name, code] of this.versions.slice(1)) {
      const line = document.createElement("li");
      line.innerHTML = `<button type="button" class="sound" aria-pressed="false">${name}</button>
        <input type="range" class="score" min="0" max="100" step="1" value="0" disabled aria-label="Score of ${name}"><output>–</output>`;
      const slider = line.querySelector(".score");
      const rate = () => {
        this.ratings.set(code, {score: slider.value, seconds: this.elapsed});
        line.querySelector("output").textContent = slider.value;
        this.update();
      };
      for (const event of ["input", "change", "pointerup"]) slider.addEventListener(event, rate); // 0 can be meant
      slider.addEventListener("keydown", (event) => { if (event.key === "Home" || event.key === "ArrowLeft") rate(); });
      this.part(".stimuli").append(line);
    }
  }

  hear(index) {
    const slider = this.buttons[index].parentElement.querySelector(".score");
    if (slider) slider.disabled = false;
    super.hear(index);
  }

  missing() {
    const open = this.versions.slice(1).filter(([, code]) => !this.ratings.has(code)).map(([name]) => name);
    return open.length ? `To be heard and rated: ${open.join(", ")}` : "";
  }

  lines() {
    return this.versions.slice(1).map(([, code]) => {
      const {score, seconds} = this.ratings.get(code);
      return [this.trial.trial, code, score, seconds];
    });
  }
}

class AbxTrial extends Trial {
  constructor(trial, position) {
    super(trial, position, [["A", trial.a], ["B", trial.b], ["X", position < 0 ? trial.a : trial.x]]);
    this.part(".answers").hidden = this.training;
    for (const answer of this.root.querySelectorAll(".answers input")) {
      answer.addEventListener("change", () => {
        this.answer = [answer.value, this.elapsed];
        this.update();
      });
    }
    this.update();
  }

  build() {
    for (const [name] of this.versions) {
      const line = document.createElement("li");
      line.innerHTML = `<button type="button" class="sound" aria-pressed="false">${name}</button>`;
      this.part(".stimuli").append(line);
    }
  }

  missing() {
    return this.unheard() || (this.answer ? "" : "Which one is X?");
  }

  lines() {
    return [[this.trial.trial, this.trial.x, ...this.answer]];
  }
}

/* Show the trial at a position of the order; -1 is the training, which has the sounds of the first; or the end. */
function begin(position) {
  keep(position);
  const bar = document.querySelector(".progress");
  bar.setAttribute("aria-valuenow", Math.max(0, position));
  bar.setAttribute("aria-valuemax", order.length);
  bar.firstElementChild.style.width = `${(100 * Math.max(0, position)) / order.length}%`;
  document.querySelector("#welcome").hidden = true;
  const place = document.querySelector("#trials");
  place.replaceChildren();
  Transport.all.length = 0;
  if (position === order.length) {
    document.querySelector("#done").hidden = false;
    return;
  }
  const trial = new (kit.design === "mushra" ? MushraTrial : AbxTrial)(order[Math.max(0, position)], position);
  Transport.all.push(trial);
  Transport.active = trial;
  place.append(trial.root);
  trial.part(".play").focus();
  window.scrollTo(0, 0);
}

/* The sample rate is in bytes 24 to 27 of a WAV file. */
function rateOf(uri) {
  return new DataView(bytesOf(uri)).getUint32(24, true);
}

function sheetText() {
  const head = ["kit", "design", "listener", "seed", "trial", "code", "score", "seconds"];
  const lines = sheet.map((line) => [kit.kit, kit.design, listener, seed, ...line]);
  return [head, ...lines].map((line) => `${line.join(",")}\n`).join("");
}

/* The order of trials is drawn by the seed alone, so that it is the same when a listener comes back. */
function draw() {
  random = mulberry32(seed);
  order = shuffled(kit.trials.filter(({round = 0}) => round < rounds));
}

function keep(position) {
  try {
    localStorage.setItem(kept, JSON.stringify({listener, seed, rounds: String(rounds), position, sheet}));
  } catch { /* it is switched off or full: the page then warns before it is left */ }
}

function before() {
  try {
    return JSON.parse(localStorage.getItem(kept));
  } catch {
    return null;
  }
}

document.querySelector("#start").addEventListener("submit", (event) => {
  event.preventDefault();
  listener = document.querySelector("#listener").value.trim();
  rounds = Number(document.querySelector("input[name=rounds]:checked")?.value ?? Infinity);
  draw();
  begin(-1);
});

const past = before();
if (past && past.position > 0) {
  document.querySelector("#resume").hidden = false;
  document.querySelector("#start").hidden = true;
  document.querySelector("#resume .who").textContent = past.listener;
  document.querySelector("#go-on").addEventListener("click", () => {
    ({listener, seed, sheet} = past);
    rounds = Number(past.rounds);
    draw();
    begin(past.position);
  });
  document.querySelector("#anew").addEventListener("click", () => {
    localStorage.removeItem(kept);
    document.querySelector("#resume").hidden = true;
    document.querySelector("#start").hidden = false;
  });
  const total = kit.trials.filter(({round = 0}) => round < Number(past.rounds)).length;
  document.querySelector("#resume .how-far").textContent = `${past.position} of ${total}`;
}

document.querySelector("#save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([sheetText()], {type: "text/csv"}));
  link.download = `sheet-${listener.replaceAll(" ", "-")}.csv`;
  link.click();
  saved = true;
});

document.addEventListener("keydown", (event) => {
  const trial = Transport.all[0];
  if (!trial || keyIsTaken(event)) return;
  if (trial.key(event.key)) event.preventDefault();
});

window.addEventListener("beforeunload", (event) => { // answers would be lost
  if (listener && !saved && before()?.listener !== listener) event.preventDefault();
});

/* The element that shows a result: its HTML is an attribute, so that the page may change it at any time. */

const resultStyle = new CSSStyleSheet();
resultStyle.replaceSync(RESULT_CSS);

/* Sounds that lie in files: fetched when first needed. */
class FetchedSounds extends SyncedSounds {
  load() {
    SyncedSounds.context(this.sampleRate).resume(); // within the gesture that asked for sound
    this.fetching ??= Promise.all(this.sounds.map(async (sound) => { sound.uri = await fetchedUri(sound.url); }));
    return this.fetching.then(() => super.load());
  }
}

async function fetchedUri(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error("the sound is no longer there; make it again");
  const blob = await answer.blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

class ResultPlayer extends Transport {
  constructor(root) {
    const buttons = [...root.querySelectorAll(".sound")];
    const sounds = buttons.map((button) => ({url: button.dataset.uri, gain: Number(button.dataset.gain)}));
    super(root, new FetchedSounds(sounds, Number(root.dataset.rate)), Number(root.querySelector(".seek input").max));
    this.buttons = buttons;
    buttons.forEach((button, index) => button.addEventListener("click", () => this.choose(index)));
    this.part(".matched").addEventListener("change", (event) => this.sounds.match(event.target.checked));
  }

  choose(index) {
    if (!this.buttons[index]) return;
    this.sounds.choose(index);
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
    this.part(".current").textContent = this.buttons[index].querySelector(".label").textContent;
  }

  key(key) {
    if (super.key(key)) return true;
    if (key < "1" || key > "9" || key.length > 1) return false;
    this.choose(Number(key) - 1);
    return true;
  }
}

class NoisebookResult extends HTMLElement {
  static observedAttributes = ["content"];

  attributeChangedCallback() {
    this.silence();
    const shadow = this.shadowRoot ?? this.open();
    shadow.innerHTML = this.getAttribute("content");
    const root = shadow.querySelector(".player");
    if (root) Transport.all.push(this.player = root.player = new ResultPlayer(root));
  }

  disconnectedCallback() { this.silence(); }

  open() {
    const shadow = this.attachShadow({mode: "open"});
    shadow.adoptedStyleSheets = [resultStyle];
    shadow.addEventListener("keydown", (event) => {
      if (this.player && !keyIsTaken(event) && this.player.key(event.key)) event.preventDefault();
    });
    return shadow;
  }

  silence() {
    if (!this.player) return;
    if (this.player.sounds.playing) this.player.sounds.stop();
    Transport.all = Transport.all.filter((other) => other !== this.player);
    this.player = null;
  }
}
customElements.define("noisebook-result", NoisebookResult);

/* Play button, slider, loop and time of one `.transport` and `.options`, on top of SyncedSounds. */
class Transport {
  static active = null; // the one that keys go to

  constructor(root, sounds, seconds) {
    this.root = root;
    this.sounds = sounds;
    this.seconds = seconds; // duration as announced, until the sounds are decoded
    this.part = (selector) => root.querySelector(selector);
    this.slider = this.part(".seek input");
    sounds.onstop = () => this.show();
    this.part(".play").addEventListener("click", () => this.toggle());
    this.slider.addEventListener("input", () => { sounds.seek(Number(this.slider.value)); this.show(); });
    this.part(".loop").addEventListener("change", () => this.setLoop());
    this.part(".from").addEventListener("click", () => this.bound("from"));
    this.part(".to").addEventListener("click", () => this.bound("to"));
    this.part(".whole").addEventListener("click", () => { this.region = null; this.setLoop(); });
    for (const event of ["pointerdown", "focusin"]) root.addEventListener(event, () => { Transport.active = this; });
  }

  get duration() { return this.sounds.duration ?? this.seconds; }

  async toggle() {
    if (this.sounds.playing) return this.sounds.stop();
    if (this.busy) return;
    this.busy = true;
    Transport.active = this;
    this.part(".play").setAttribute("aria-busy", "true");
    try {
      await this.sounds.load();
      this.setLoop(); // now that the duration is known
      for (const other of Transport.all) if (other.sounds.playing) other.sounds.stop();
      this.sounds.start();
    } catch (error) {
      this.part(".problem").textContent = `This browser cannot play the sounds: ${error.message}`;
      this.part(".problem").hidden = false;
    }
    this.busy = false;
    this.part(".play").removeAttribute("aria-busy");
    this.follow();
  }

  /* Show the place for as long as the sounds run. */
  follow() {
    this.show();
    if (this.sounds.playing) requestAnimationFrame(() => this.follow());
  }

  show() {
    const {position, playing} = this.sounds;
    const button = this.part(".play");
    button.setAttribute("aria-pressed", String(playing));
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.slider.max = this.duration;
    this.slider.value = position;
    this.slider.setAttribute("aria-valuetext", `${position.toFixed(1)} seconds`);
    this.part(".head").style.left = `${(100 * position) / this.duration}%`;
    this.part(".time").textContent = `${position.toFixed(1)} / ${this.duration.toFixed(1)} s`;
  }

  move(seconds) {
    this.sounds.seek(this.sounds.position + seconds);
    this.show();
  }

  /* Set one end of the loop to the current place; the other end stays, or is the sound's. */
  bound(end) {
    const region = {from: 0, to: this.duration, ...this.region, [end]: this.sounds.position};
    if (region.to - region.from < 0.05) { // the ends crossed: the other one goes back to the sound's
      if (end === "from") region.to = this.duration; else region.from = 0;
    }
    if (region.to - region.from < 0.05) return;
    this.region = region;
    this.part(".loop").checked = true;
    this.setLoop();
  }

  setLoop() {
    const wanted = this.part(".loop").checked;
    const box = this.part(".region");
    this.sounds.setLoop(wanted ? this.region ?? {from: 0, to: this.duration} : null);
    this.part(".whole").disabled = !this.region;
    box.hidden = !this.region;
    box.style.opacity = wanted ? 1 : 0.4;
    if (this.region) {
      box.style.left = `${(100 * this.region.from) / this.duration}%`;
      box.style.width = `${(100 * (this.region.to - this.region.from)) / this.duration}%`;
    }
    this.show();
  }

  /* Keys of the transport; whether the key was one. */
  key(key) {
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.move(-1),
      ArrowRight: () => this.move(1),
      "[": () => this.bound("from"),
      "]": () => this.bound("to"),
      l: () => this.part(".loop").click(),
    };
    if (!(key in actions)) return false;
    actions[key]();
    return true;
  }
}
Transport.all = [];
document.addEventListener("pointerdown", (event) => { // elsewhere, arrows scroll again
  if (!Transport.all.some((one) => one.root.contains(event.target))) Transport.active = null;
});

/* Where a key means something else than it does to a player: text, menus, and space on other controls. The sounds'
   own buttons give up the space bar (Enter presses them), for after choosing one the space bar shall pause. */
function keyIsTaken(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  const element = event.target;
  if (element.matches("select, textarea, input[type=text]")) return true;
  if (event.key !== " ") return element.matches("input[type=range]:not(.seek input)");
  return element.matches("button:not(.sound), input[type=checkbox], input[type=radio], summary, a");
}

/* The page of a comparison: players, sortable tables, filters. */

for (const element of document.querySelectorAll(".only-script")) element.hidden = false;

class Player extends Transport {
  constructor(root) {
    const elements = [...root.querySelectorAll("audio")];
    const sounds = elements.map((audio) => ({uri: audio.src, gain: Number(audio.dataset.gain)}));
    super(root, new SyncedSounds(sounds, Number(root.dataset.rate)), Number(root.querySelector(".seek input").max));
    root.querySelector(".sounds-without-script").hidden = true;
    this.buttons = [...root.querySelectorAll(".sound")];
    this.buttons.forEach((button, index) => button.addEventListener("click", () => this.choose(index)));
    this.part(".matched").addEventListener("change", (event) => this.sounds.match(event.target.checked));
  }

  choose(index) {
    if (!this.buttons[index]) return;
    this.sounds.choose(index);
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
    this.part(".current").textContent = this.buttons[index].querySelector(".label").textContent;
    this.part(".hears-reference").hidden = index !== 0;
  }

  key(key) {
    if (super.key(key)) return true;
    const {chosen} = this.sounds;
    const count = this.buttons.length;
    if (key >= "1" && key <= "9" && key.length === 1) this.choose(Number(key) - 1);
    else if (key === "ArrowDown") this.choose((chosen + 1) % count);
    else if (key === "ArrowUp") this.choose((chosen + count - 1) % count);
    else return false;
    return true;
  }
}

for (const root of document.querySelectorAll(".player")) Transport.all.push(root.player = new Player(root));

document.addEventListener("keydown", (event) => {
  if (keyIsTaken(event) || !Transport.active) return;
  if (Transport.active.key(event.key)) event.preventDefault();
});

/* Sort the rows of each group of a table by one column; rows without a value stay last in both directions. */
function sortBy(table, column, descending) {
  const value = (row) => row.cells[column]?.dataset.value ?? "";
  const compare = (a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === "" || right === "") return (left === "") - (right === "");
    const order = column === 0 ? left.localeCompare(right) : numberOf(left) - numberOf(right) || 0;
    return descending ? -order : order;
  };
  for (const body of table.tBodies) body.append(...[...body.rows].filter((row) => !row.matches(".head")).sort(compare));
}

function numberOf(text) { // infinity as Python writes it
  return text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of headings) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sortBy(table, column, descending);
  }));
}

/* Series: the check boxes above ranking and table are one choice, shown twice. */
const seriesBoxes = [...document.querySelectorAll(".filters input")];
for (const box of seriesBoxes) {
  box.addEventListener("change", () => {
    for (const twin of seriesBoxes) if (twin.value === box.value) twin.checked = box.checked;
    for (const row of document.querySelectorAll("tr[data-series]")) {
      if (row.dataset.series === box.value) row.hidden = !box.checked;
    }
  });
}

/* One ranking at a time. */
const rankings = [...document.querySelectorAll(".ranking")];
const metricMenu = document.querySelector("#metric");
function showRanking() {
  rankings.forEach((ranking, index) => { ranking.hidden = index !== Number(metricMenu.value); });
}
if (metricMenu) {
  metricMenu.addEventListener("change", showRanking);
  showRanking();
}

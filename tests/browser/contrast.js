/* Texts of the page whose contrast (WCAG 2) is below 4.5, with the ratio. Disabled controls are exempt. */
() => {
  const channels = (colour) => { const [r = 0, g = 0, b = 0, a = 1] = colour.match(/[\d.]+/g)?.map(Number) ?? []; return [r, g, b, a]; };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parent = (element) => element.assignedSlot ?? element.parentElement ?? element.getRootNode().host ?? null;
  const ancestors = (element) => element ? [element, ...ancestors(parent(element))] : [];
  const faint = new Set();

  function look(root) {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.currentNode; node; node = walk.nextNode()) {
      if (node.shadowRoot) look(node.shadowRoot);
      const element = node.parentElement, text = node.textContent.trim();
      if (node.nodeType !== Node.TEXT_NODE || !text || !element || element.closest("[disabled], script, style")) continue;
      if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const box = range.getBoundingClientRect();
      if (box.width < 2 || box.height < 2) continue; // for screen readers only
      const chain = ancestors(element);
      const below = chain.map((one) => channels(getComputedStyle(one).backgroundColor))
        .reduceRight((sum, colour) => over(colour, sum), [255, 255, 255, 1]);
      const ink = channels(getComputedStyle(element).color);
      ink[3] *= chain.reduce((product, one) => product * Number(getComputedStyle(one).opacity), 1);
      const [light, dark] = [luminance(over(ink, below)), luminance(below)].sort((a, b) => b - a);
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < 4.5) faint.add(`${ratio.toFixed(1)} ${element.tagName} ${element.className} "${text.slice(0, 40)}"`);
    }
  }

  look(document.documentElement);
  return [...faint];
}

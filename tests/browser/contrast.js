// The lowest contrast (WCAG 2.2, 1.4.3) of any visible text in an element, and that text.
// Disabled controls are exempt there; colours are mixed by the browser itself, on a canvas.
(root) => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const layer = (colour) => { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); };
  const luminance = () => {
    const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ancestors = (element) => {
    const all = [];
    for (let e = element; e; e = e.parentElement) all.unshift(e);
    return all;
  };
  const contrast = (element) => {
    layer("white");
    ancestors(element).forEach((e) => layer(getComputedStyle(e).backgroundColor));
    const below = luminance();
    layer(getComputedStyle(element).color);
    const text = luminance();
    return (Math.max(below, text) + 0.05) / (Math.min(below, text) + 0.05);
  };
  const found = [];
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const said = texts.currentNode.textContent.trim();
    const skip = element.closest("style, script, option, :disabled") || !element.checkVisibility();
    if (said && !skip) found.push([contrast(element), said]);
  }
  return found.sort(([a], [b]) => a - b)[0];
}

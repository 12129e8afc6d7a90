(() => {
  // Texts whose contrast with what is behind them is too low (WCAG 2.2, 1.4.3): each with its ratio, its colors and its words.
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parts = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => [0, 1, 2].map((at) => (top[at] * top[3] + below[at] * (255 - top[3])) / 255).concat(255);
  const luminance = (color) => {
    const [red, green, blue] = color.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches && /dark/.test(getComputedStyle(document.documentElement).colorScheme + document.querySelector('meta[name="color-scheme"]')?.content);
  const canvas = isDark ? [18, 18, 18, 255] : [255, 255, 255, 255];
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") return null;
      const color = parts(style.backgroundColor);
      if (color[3]) layers.push(color);
      if (color[3] === 255) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), canvas);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const words = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (!words || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const box = element.getBoundingClientRect();
    if (size < 4 || box.width < 2 || box.height < 2) continue;
    const background = behind(element);
    if (!background) continue;
    const color = over(parts(style.color), background);
    const [low, high] = [luminance(color), luminance(background)].sort((one, other) => one - other);
    const ratio = (high + 0.05) / (low + 0.05);
    const isLarge = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) {
      const hex = (each) => "#" + each.slice(0, 3).map((value) => Math.round(value).toString(16).padStart(2, "0")).join("");
      found.push({ratio: Math.floor(ratio * 10) / 10, color: hex(color), background: hex(background), words: words.slice(0, 60)});
    }
  }
  return found;
})()

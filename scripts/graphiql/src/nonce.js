// Our policy takes a <style> only with the nonce of this response. Monaco, Radix and Motion each add style elements and
// know nothing of it (Monaco has no setting for one), so every style element gets the nonce as it is created.
// Reading the property, not the attribute: browsers hide the attribute once the element is in the document.
const nonce = document.querySelector('meta[property="csp-nonce"]').nonce;
const createElement = document.createElement.bind(document);

document.createElement = (name, options) => {
  const element = createElement(name, options);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
};

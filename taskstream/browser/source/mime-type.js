// The type of a response, also where a proxy has doubled the header.
// https://fetch.spec.whatwg.org/#concept-header-extract-mime-type

const VALUE = /(?:[^",]|"(?:\\.|[^"\\])*(?:"|$))+/gs; // up to a comma that is not inside quotes
const TYPE = /^[\t\n\r ]*([!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+)[\t\n\r ]*(?:;|$)/i;

/** The last type that is valid, without its parameters; empty if none is. @param {Response} response */
export function mimeType({ headers }) {
  const values = headers.get("Content-Type")?.match(VALUE) ?? [];
  const types = values.map((value) => TYPE.exec(value)?.[1]?.toLowerCase() ?? "*/*");
  return types.findLast((type) => type !== "*/*") ?? "";
}

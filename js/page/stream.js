/** Events of the node (SSE) while the page is looked at: browsers open few connections to one place at a time. */

/**
 * @param {string} address
 * @param {Record<string, (data: any, id: string) => void>} heard by the name of the event; `open` and `error` have no data
 */
export function listen(address, heard) {
  /** @type {EventSource | null} */
  let source = null;
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(address);
    for (const [name, hear] of Object.entries(heard))
      source.addEventListener(name, (event) =>
        event instanceof MessageEvent ? hear(JSON.parse(event.data), event.lastEventId) : hear(null, ''),
      );
  };
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  addEventListener('pagehide', close);
  addEventListener('pageshow', open);
  open();
}

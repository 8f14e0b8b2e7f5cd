/** Resolves in the next turn of the event loop: what this turn still has to send (a reply) has been sent by then. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

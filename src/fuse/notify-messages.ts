/** What passes between the notifier and its writing threads. */
export interface NotifyWorkerData {
  readonly fd: number;
}

/** Each element is one notification, as it goes to the device. */
export type NotifyRequest = readonly Uint8Array[];

/** For each notification: the errno with which the kernel refused it, or undefined. */
export type NotifyOutcome = readonly (string | undefined)[];

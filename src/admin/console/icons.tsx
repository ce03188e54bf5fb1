/** Small pictures: a state has a shape besides its colour. All are decoration; the words stand beside them. */

import type { ComponentChildren } from "preact";

export type Tone = "good" | "warn" | "bad" | "calm";
export type Shape = "disc" | "half" | "ring" | "triangle" | "cross" | "square" | "info";

const DRAWN: Record<Shape, ComponentChildren> = {
  disc: <circle cx="8" cy="8" r="6" fill="currentColor" />,
  half: (
    <>
      <circle cx="8" cy="8" r="5.2" fill="none" stroke="currentColor" stroke-width="1.6" />
      <path d="M8 2.8a5.2 5.2 0 0 1 0 10.4z" fill="currentColor" />
    </>
  ),
  ring: (
    <circle
      cx="8"
      cy="8"
      r="5.2"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-dasharray="3 2.4"
    />
  ),
  triangle: (
    <path d="M8 1.6 15 14H1z M7.2 6v3.8h1.6V6z M7.2 11v1.5h1.6V11z" fill="currentColor" fill-rule="evenodd" />
  ),
  cross: (
    <path
      d="M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zM5.6 4.5 4.5 5.6 6.9 8l-2.4 2.4 1.1 1.1L8 9.1l2.4 2.4 1.1-1.1L9.1 8l2.4-2.4-1.1-1.1L8 6.9z"
      fill="currentColor"
      fill-rule="evenodd"
    />
  ),
  square: <rect x="3" y="3" width="10" height="10" rx="1.5" fill="currentColor" />,
  info: (
    <path
      d="M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zM7.1 7v4.8h1.8V7zM7.1 4v1.8h1.8V4z"
      fill="currentColor"
      fill-rule="evenodd"
    />
  ),
};

export function Icon({ shape }: { shape: Shape }) {
  return <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{DRAWN[shape]}</svg>;
}

/** How a state of a node, its application or a check looks. */
export function lookOf(state: string): { tone: Tone; shape: Shape } {
  switch (state) {
    case "up":
      return { tone: "good", shape: "disc" };
    case "draining":
    case "leaving":
    case "stopping":
      return { tone: "warn", shape: "half" };
    case "joining":
    case "starting":
    case "waiting":
    case "pending":
      return { tone: "calm", shape: "ring" };
    case "suspect":
      return { tone: "warn", shape: "triangle" };
    case "stopped":
      return { tone: "calm", shape: "square" };
    default: // dead, silent, failed, down
      return { tone: "bad", shape: "cross" };
  }
}

/** A state as a word with its shape in its colour. */
export function State({ state, text = state }: { state: string; text?: string }) {
  const { tone, shape } = lookOf(state);
  return (
    <span class={`state ${tone}`} data-state={state}>
      <Icon shape={shape} />
      {text}
    </span>
  );
}

/** What a token allows, from least to most; each role includes those before it. */
export const ROLES = ["monitor", "control", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Names of the TUN devices: others on this host must know them too, firewalls and network managers. */

/** The kernel puts the first number in that is free. */
export const TUN_NAMES = "vipfarm%d";
/** The name that the first one gets as a rule. */
export const FIRST_TUN_NAME = "vipfarm0";
/** All of them, as a pattern of network managers. */
export const TUN_PATTERN = "vipfarm*";

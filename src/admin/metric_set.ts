/** Metrics that are read anew at every scrape, in a registry. */

import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** What a scrape is told: values with their labels. */
export type Tell = (value: number, labels?: Record<string, string>) => void;

/** A registry with short ways to put something in. */
export class MetricSet {
  readonly registry = new Registry();

  /** A value that can fall. */
  gauge(name: string, help: string, labelNames: string[], read: (tell: Tell) => void): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        read((value, labels = {}) => this.set(labels, value));
      },
    });
  }

  /** A total that is kept elsewhere: set, not incremented. */
  total(name: string, help: string, labelNames: string[], read: (tell: Tell) => void): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        read((value, labels = {}) => this.inc(labels, value));
      },
    });
  }

  /** A total that is counted here. */
  counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.registry] });
  }
}

// What the tests use of the package, which has no types of its own.

declare module 'parse-prometheus-text-format' {
  /** One family. Values are the texts that stand in the exposition. */
  export interface PrometheusFamily {
    name: string
    help: string
    /** In capitals; UNTYPED where the name of its samples is not that of its type line. */
    type: string
    metrics: {
      labels?: Record<string, string>
      value?: string
    }[]
  }

  export default function parsePrometheusTextFormat(text: string): PrometheusFamily[]
}

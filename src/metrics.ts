/** The addon's counters with their times as dates. */

import type { NativeMetrics, NativeQueryMetrics } from '#native'
import type { EngineMetrics, QueryMetrics } from './types.js'

function dateOf(millis: number | null | undefined): Date | null {
  return millis === null || millis === undefined ? null : new Date(millis)
}

export function queryMetricsOf(native: NativeQueryMetrics): QueryMetrics {
  return { ...native, watermark: dateOf(native.watermark) }
}

export function metricsOf(native: NativeMetrics): EngineMetrics {
  return {
    ...native,
    queries: native.queries.map(queryMetricsOf),
    relations: native.relations.map((relation) => ({ ...relation, watermark: dateOf(relation.watermark) })),
  }
}

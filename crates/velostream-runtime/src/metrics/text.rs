//! An engine's counters as OpenMetrics text, version 1.0.0.
//!
//! Tables of families say what is written; one function writes a family over all that it concerns. Counters end
//! in `_total`, names end in their unit, times are seconds, and `# EOF` ends the text.

use super::Distribution;
use crate::api::{EngineMetrics, PartitionMetricsSnapshot, QueryMetrics, RelationMetrics};
use std::fmt::{self, Display, Write};

/// The latencies of one receiver.
pub struct Latencies {
    /// Its query, by the name that the metrics have.
    pub query: String,
    /// Which of the query's receivers.
    pub partition: usize,
    /// From a record's acceptance to its changes.
    pub distribution: Distribution,
}

/// What a family's samples are.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// What a sample's name has behind its family's, where all samples have the same.
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

/// A sample's value.
enum Number {
    Whole(u64),
    Real(f64),
}

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
        }
    }
}

/// What stands above a family's samples.
struct Head {
    /// Ends in the unit, where it has one.
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    help: &'static str,
}

/// A family with one sample for each thing that has the value.
struct Family<T> {
    head: Head,
    value: fn(&T) -> Option<Number>,
}

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> Option<Number>) -> Family<T> {
    Family { head: Head { name, kind: Kind::Counter, unit: None, help }, value }
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> Option<Number>) -> Family<T> {
    Family { head: Head { name, kind: Kind::Gauge, unit: None, help }, value }
}

/// The same, measured in a unit.
const fn of<T>(unit: &'static str, mut family: Family<T>) -> Family<T> {
    family.head.unit = Some(unit);
    family
}

fn whole(value: u64) -> Option<Number> {
    Some(Number::Whole(value))
}

fn seconds(micros: Option<i64>) -> Option<Number> {
    micros.map(|micros| Number::Real(micros as f64 / 1e6))
}

const ENGINE: [Family<EngineMetrics>; 4] = [
    of(
        "bytes",
        gauge("velostream_state_bytes", "State of all queries and tables.", |m| whole(m.state_bytes)),
    ),
    counter("velostream_dead_letters", "Dead letters.", |m| whole(m.dead_letters_total)),
    counter("velostream_dead_letters_dropped", "Dead letters no longer kept.", |m| {
        whole(m.dead_letters_dropped)
    }),
    counter("velostream_late_dropped", "Late records that went before anybody took them.", |m| {
        whole(m.late_dropped)
    }),
];

const RELATION: [Family<RelationMetrics>; 2] = [
    counter("velostream_relation_records", "Records accepted, of a file by all queries that read it.", |m| {
        whole(m.records_in)
    }),
    of(
        "seconds",
        gauge(
            "velostream_relation_watermark_seconds",
            "Event time up to which all has come, of a file by the query that is furthest.",
            |m| seconds(m.watermark_micros),
        ),
    ),
];

const QUERY_INFO: Head =
    Head { name: "velostream_query", kind: Kind::Info, unit: None, help: "Running queries with their text." };

const QUERY: [Family<QueryMetrics>; 2] = [
    gauge("velostream_query_output_rows", "Undelivered rows.", |m| whole(m.output_rows)),
    of(
        "seconds",
        gauge(
            "velostream_query_watermark_seconds",
            "Event time up to which all has come, of a file by the query that is furthest.",
            |m| seconds(m.watermark_micros),
        ),
    ),
];

const PARTITION: [Family<PartitionMetricsSnapshot>; 10] = [
    counter("velostream_query_records", "Records received.", |m| whole(m.records_in)),
    counter("velostream_query_batches", "Batches received.", |m| whole(m.batches_in)),
    counter("velostream_query_changes", "Changes given out.", |m| whole(m.changes_out)),
    counter("velostream_query_late", "Records left out as late.", |m| whole(m.late)),
    counter("velostream_query_dead_letters", "Records rejected.", |m| whole(m.dead_letters)),
    of(
        "seconds",
        counter("velostream_query_busy_seconds", "Time spent processing.", |m| {
            Some(Number::Real(m.busy_ms / 1e3))
        }),
    ),
    gauge("velostream_query_mailbox_batches", "Batches waiting.", |m| whole(m.mailbox_batches)),
    of(
        "bytes",
        gauge("velostream_query_mailbox_bytes", "Size of the batches waiting.", |m| whole(m.mailbox_bytes)),
    ),
    of("bytes", gauge("velostream_query_state_bytes", "State held.", |m| whole(m.state_bytes))),
    gauge("velostream_query_groups", "Groups held.", |m| whole(m.groups)),
];

const LATENCY: Head = Head {
    name: "velostream_query_latency_seconds",
    kind: Kind::Histogram,
    unit: Some("seconds"),
    help: "Time from a record's acceptance to its changes.",
};

/// The whole text. `latencies` are those of the receivers of `metrics`.
pub fn write(metrics: &EngineMetrics, latencies: &[Latencies]) -> String {
    let mut text = Text::default();
    text.families(&ENGINE, &[(String::new(), metrics)]);
    let relations = metrics.relations.iter().map(|each| (labels(&[("relation", &each.name)]), each));
    text.families(&RELATION, &relations.collect::<Vec<_>>());
    text.info(&metrics.queries);
    let queries = metrics.queries.iter().map(|query| (labels(&[("query", &query.id)]), query));
    text.families(&QUERY, &queries.collect::<Vec<_>>());
    let partitions = metrics.queries.iter().flat_map(|query| {
        let each = query.partitions.iter();
        each.map(|partition| (receiver_labels(&query.id, partition.partition), partition))
    });
    text.families(&PARTITION, &partitions.collect::<Vec<_>>());
    text.histogram(latencies);
    text.0.push_str("# EOF\n");
    text.0
}

/// `name="value"` of each, with commas between.
fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let each = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    each.collect::<Vec<_>>().join(",")
}

fn receiver_labels(query: &str, partition: usize) -> String {
    labels(&[("query", query), ("partition", &partition.to_string())])
}

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("writing to a String cannot fail");
        self.0.push('\n');
    }

    fn head(&mut self, head: &Head) {
        let Head { name, kind, unit, help } = head;
        self.line(format_args!("# TYPE {name} {}", kind.name()));
        if let Some(unit) = unit {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
        self.line(format_args!("# HELP {name} {help}"));
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: impl Display) {
        if labels.is_empty() {
            self.line(format_args!("{name}{suffix} {value}"));
        } else {
            self.line(format_args!("{name}{suffix}{{{labels}}} {value}"));
        }
    }

    /// Families over things, each with its labels.
    fn families<T>(&mut self, families: &[Family<T>], things: &[(String, &T)]) {
        for Family { head, value } in families {
            self.head(head);
            for (labels, thing) in things {
                if let Some(number) = value(thing) {
                    self.sample(head.name, head.kind.suffix(), labels, number);
                }
            }
        }
    }

    fn info(&mut self, queries: &[QueryMetrics]) {
        self.head(&QUERY_INFO);
        for query in queries {
            let labels = labels(&[("query", &query.id), ("sql", &query.sql)]);
            self.sample(QUERY_INFO.name, QUERY_INFO.kind.suffix(), &labels, 1);
        }
    }

    fn histogram(&mut self, latencies: &[Latencies]) {
        self.head(&LATENCY);
        for Latencies { query, partition, distribution } in latencies {
            let labels = receiver_labels(query, *partition);
            for (bound_nanos, count) in &distribution.up_to {
                let bound = *bound_nanos as f64 / 1e9;
                self.sample(LATENCY.name, "_bucket", &format!("{labels},le=\"{bound}\""), count);
            }
            self.sample(LATENCY.name, "_bucket", &format!("{labels},le=\"+Inf\""), distribution.count);
            self.sample(LATENCY.name, "_count", &labels, distribution.count);
            self.sample(LATENCY.name, "_sum", &labels, distribution.sum_seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::LatencyMetrics;

    fn metrics() -> EngineMetrics {
        let partition = PartitionMetricsSnapshot {
            partition: 1,
            records_in: 3,
            busy_ms: 2.5,
            latency_us: LatencyMetrics::default(),
            ..PartitionMetricsSnapshot::default()
        };
        EngineMetrics {
            queries: vec![QueryMetrics {
                id: "a \"b\"\\".to_owned(),
                sql: "SELECT 1\nFROM s".to_owned(),
                watermark_micros: None,
                output_rows: 7,
                partitions: vec![partition],
            }],
            relations: vec![RelationMetrics {
                name: "s".to_owned(),
                records_in: 4,
                watermark_micros: Some(1_500_000),
            }],
            state_bytes: 96,
            dead_letters_total: 5,
            dead_letters_dropped: 2,
            late_dropped: 1,
        }
    }

    fn text() -> String {
        let distribution = Distribution { up_to: vec![(1024, 1), (2048, 2)], count: 3, sum_seconds: 0.5 };
        write(&metrics(), &[Latencies { query: "q".to_owned(), partition: 0, distribution }])
    }

    /// The lines of one family.
    fn family(name: &str) -> Vec<String> {
        let own = |line: &&str| line.trim_start_matches('#').contains(name);
        text().lines().filter(own).map(str::to_owned).collect()
    }

    #[test]
    fn a_family_has_its_type_unit_and_meaning_above_its_samples() {
        assert_eq!(
            family("velostream_query_busy_seconds"),
            [
                "# TYPE velostream_query_busy_seconds counter",
                "# UNIT velostream_query_busy_seconds seconds",
                "# HELP velostream_query_busy_seconds Time spent processing.",
                "velostream_query_busy_seconds_total{query=\"a \\\"b\\\"\\\\\",partition=\"1\"} 0.0025",
            ]
        );
        assert_eq!(
            family("velostream_relation_watermark")[3..],
            ["velostream_relation_watermark_seconds{relation=\"s\"} 1.5"]
        );
        assert_eq!(family("velostream_query_watermark").len(), 3, "an unknown watermark has no sample");
    }

    #[test]
    fn a_text_of_several_lines_is_one_label() {
        let info = family("velostream_query_info");
        assert_eq!(info, ["velostream_query_info{query=\"a \\\"b\\\"\\\\\",sql=\"SELECT 1\\nFROM s\"} 1"]);
    }

    #[test]
    fn a_histogram_counts_up_to_its_bounds() {
        assert_eq!(
            family("velostream_query_latency")[3..],
            [
                "velostream_query_latency_seconds_bucket{query=\"q\",partition=\"0\",le=\"0.000001024\"} 1",
                "velostream_query_latency_seconds_bucket{query=\"q\",partition=\"0\",le=\"0.000002048\"} 2",
                "velostream_query_latency_seconds_bucket{query=\"q\",partition=\"0\",le=\"+Inf\"} 3",
                "velostream_query_latency_seconds_count{query=\"q\",partition=\"0\"} 3",
                "velostream_query_latency_seconds_sum{query=\"q\",partition=\"0\"} 0.5",
            ]
        );
    }

    #[test]
    fn the_end_is_marked_once_and_every_name_has_one_family() {
        let text = text();
        assert!(text.ends_with("\n# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

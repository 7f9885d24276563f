//! The figures: samples by line and daemon, and what is wanted of ours.

use std::fmt::Write;

use crate::subject::Subject;

/// What is made of a line's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Median,
    P99,
    Max,
    Mean,
    Sum,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// Said, not judged.
    Told,
    AtMost(f64),
    AtLeast(f64),
    /// At most this share of keepalived's.
    OfKeepalived(f64),
    /// At most this multiple of the floor.
    OfFloor(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    pub row: &'static str,
    pub measure: String,
    /// The samples it is made of.
    pub samples: String,
    pub of: Of,
    pub unit: &'static str,
    pub wanted: Wanted,
    /// A machine that stalls does not excuse it: the command fails when it does not hold.
    pub robust: bool,
    /// Peers' figures stay out of the published page.
    pub private: bool,
}

impl Line {
    pub fn new(
        row: &'static str,
        measure: impl Into<String>,
        samples: impl Into<String>,
        of: Of,
        unit: &'static str,
    ) -> Self {
        let (measure, samples) = (measure.into(), samples.into());
        Self { row, measure, samples, of, unit, wanted: Wanted::Told, robust: false, private: false }
    }

    pub fn wanted(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    pub fn robust(self) -> Self {
        Self { robust: true, ..self }
    }
}

/// All samples of a run.
#[derive(Default)]
pub struct Board {
    pub lines: Vec<Line>,
    samples: Vec<(String, Subject, Vec<f64>)>,
    /// The same of windows in which the machine stood still.
    spoilt: Vec<(String, Subject, Vec<f64>)>,
    /// Measurements dropped because the machine stood still, by row.
    pub dropped: Vec<(&'static str, u64, u64)>,
    /// What could not be measured, and why.
    pub remarks: Vec<String>,
}

impl Board {
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines, ..Self::default() }
    }

    pub fn add(&mut self, samples: &str, subject: Subject, value: f64) {
        debug_assert!(self.lines.iter().any(|line| line.samples == samples), "nobody shows {samples}");
        push(&mut self.samples, samples, subject, value);
    }

    /// Of a window in which the machine stood still: shown, marked and not judged, when there is nothing better.
    pub fn add_spoilt(&mut self, samples: &str, subject: Subject, value: f64) {
        push(&mut self.spoilt, samples, subject, value);
    }

    /// A window was measured; `kept` says whether the machine ran all the time.
    pub fn window(&mut self, row: &'static str, kept: bool) {
        if !self.dropped.iter().any(|entry| entry.0 == row) {
            self.dropped.push((row, 0, 0));
        }
        if let Some(entry) = self.dropped.iter_mut().find(|entry| entry.0 == row) {
            entry.1 += u64::from(!kept);
            entry.2 += 1;
        }
    }

    pub fn samples(&self, samples: &str, subject: Subject) -> &[f64] {
        self.samples.iter().find(|entry| entry.0 == samples && entry.1 == subject).map_or(&[], |entry| &entry.2)
    }

    fn spoilt(&self, line: &Line, subject: Subject) -> Option<f64> {
        let spoilt = self.spoilt.iter().find(|entry| entry.0 == line.samples && entry.1 == subject)?;
        summary(&spoilt.2, line.of)
    }

    /// Without what the machine spoilt.
    pub fn value(&self, line: &Line, subject: Subject) -> Option<f64> {
        summary(self.samples(&line.samples, subject), line.of)
    }

    /// Ours in the rival's.
    pub fn ratio(&self, line: &Line) -> Option<f64> {
        let (ours, theirs) = (self.value(line, Subject::Vrrpd)?, self.value(line, Subject::rival())?);
        (theirs.abs() > f64::EPSILON).then(|| ours / theirs)
    }

    /// Whether what is wanted holds; `None` when it is not judged, or nothing was measured.
    pub fn held(&self, line: &Line) -> Option<bool> {
        let ours = self.value(line, Subject::Vrrpd)?;
        match line.wanted {
            Wanted::Told => None,
            Wanted::AtMost(most) => Some(ours <= most),
            Wanted::AtLeast(least) => Some(ours >= least),
            Wanted::OfKeepalived(share) => Some(ours <= share * self.value(line, Subject::Keepalived)?),
            Wanted::OfFloor(multiple) => Some(ours <= multiple * self.value(line, Subject::Floor)?),
        }
    }

    /// The lines of which anything was measured, each as its cells; `published` leaves out what is private.
    pub fn cells(&self, published: bool) -> Vec<[String; 9]> {
        let measured = self.lines.iter().filter(|line| {
            Subject::ALL.iter().any(|&subject| self.value(line, subject).or(self.spoilt(line, subject)).is_some())
        });
        measured
            .map(|line| {
                let show = |subject| {
                    let hidden = published && line.private && subject != Subject::Vrrpd;
                    match (self.value(line, subject), self.spoilt(line, subject)) {
                        (Some(value), _) if !hidden => figure(value, line.unit),
                        (None, Some(value)) if !hidden => format!("~{}", figure(value, line.unit)),
                        _ => "–".to_owned(),
                    }
                };
                let ratio = self.ratio(line).filter(|_| !(published && line.private));
                [
                    line.row.to_owned(),
                    line.measure.clone(),
                    show(Subject::Vrrpd),
                    show(Subject::rival()),
                    show(Subject::Frr),
                    show(Subject::Floor),
                    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
                    wish(line),
                    match self.held(line) {
                        Some(true) => "yes".into(),
                        Some(false) => "NO".into(),
                        None => String::new(),
                    },
                ]
            })
            .collect()
    }

    /// Lines that a noisy machine does not excuse and that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.robust && self.held(line) == Some(false))
    }
}

fn push(list: &mut Vec<(String, Subject, Vec<f64>)>, samples: &str, subject: Subject, value: f64) {
    match list.iter_mut().find(|entry| entry.0 == samples && entry.1 == subject) {
        Some(entry) => entry.2.push(value),
        None => list.push((samples.to_owned(), subject, vec![value])),
    }
}

pub fn headings() -> [&'static str; 9] {
    ["row", "figure", "vrrpd", Subject::rival().name(), "FRR", "floor", "ratio", "wanted", "held"]
}

/// The cells in columns.
pub fn table(cells: &[[String; 9]]) -> String {
    let headings = headings().map(str::to_owned);
    let mut widths = [0; 9];
    for row in std::iter::once(&headings).chain(cells) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&headings).chain(cells) {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = if (2..7).contains(&column) {
                write!(text, "{cell:>width$}  ")
            } else {
                write!(text, "{cell:<width$}  ")
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn wish(line: &Line) -> String {
    match line.wanted {
        Wanted::Told => String::new(),
        Wanted::AtMost(most) => format!("≤ {}", figure(most, line.unit)),
        Wanted::AtLeast(least) => format!("≥ {}", figure(least, line.unit)),
        Wanted::OfKeepalived(share) => format!("≤ {share} × keepalived"),
        Wanted::OfFloor(multiple) => format!("≤ {multiple} × floor"),
    }
}

/// A number with three digits that mean something, and its unit.
pub fn figure(value: f64, unit: &str) -> String {
    let size = value.abs();
    let number = match size {
        _ if size == 0.0 => "0".to_owned(),
        _ if size < 0.1 => format!("{value:.3}"),
        _ if size < 10.0 => format!("{value:.2}"),
        _ if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

/// `None` of nothing.
pub fn summary(samples: &[f64], of: Of) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(match of {
        Of::Median => (sorted[last / 2] + sorted[sorted.len() / 2]) / 2.0,
        // The least that 99 in 100 do not exceed.
        Of::P99 => sorted[(sorted.len() * 99).div_ceil(100) - 1],
        Of::Max => sorted[last],
        Of::Mean => sorted.iter().sum::<f64>() / sorted.len() as f64,
        Of::Sum => sorted.iter().sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_a_hundred() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(summary(&samples, Of::Median), Some(50.5));
        assert_eq!(summary(&samples, Of::P99), Some(99.0));
        assert_eq!(summary(&samples, Of::Max), Some(100.0));
        assert_eq!(summary(&[], Of::Mean), None);
        assert_eq!(summary(&[3.0], Of::P99), Some(3.0));
    }
}

//! Plots as SVG, written by hand: text in the reader's own colour, so that light and dark pages both can show them.

use std::fmt::Write;

use crate::board::figure;
use crate::subject::Subject;

const WIDTH: f64 = 760.0;
/// Room for the labels to the left of the bars, and for the figures to the right.
const LEFT: f64 = 300.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 14.0;
const TOP: f64 = 58.0;

/// A subject's colour in both schemes; each stands out from white and from near-black.
const fn colour(subject: Subject) -> &'static str {
    match subject {
        Subject::Vrrpd => "#2a8f5b",
        Subject::Keepalived => "#3f7fd0",
        Subject::Frr => "#c9781f",
        Subject::Before => "#7a5bb0",
        Subject::Floor => "#8a8a8a",
    }
}

/// A measure and what each subject came to.
pub struct Group {
    pub label: String,
    pub values: Vec<(Subject, f64)>,
}

/// Horizontal bars on a logarithmic scale: what is compared differs by orders of magnitude.
pub fn bars(title: &str, unit: &str, groups: &[Group]) -> String {
    let positive = groups.iter().flat_map(|group| &group.values).map(|value| value.1).filter(|value| *value > 0.0);
    let (least, most) = positive.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    let (low, high) = (least.log10().floor(), most.log10().ceil());
    let span = (high - low).max(1.0);
    let width = WIDTH - LEFT - RIGHT;
    let place = |value: f64| LEFT + ((value.max(1e-9).log10() - low) / span).clamp(0.0, 1.0) * width;
    let mut body = String::new();
    let mut y = TOP;
    for group in groups {
        let middle = y + BAR * group.values.len() as f64 / 2.0 + 4.0;
        let _ = writeln!(
            body,
            r#"<text x="{:.0}" y="{middle:.0}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            escape(&group.label)
        );
        for &(subject, value) in &group.values {
            let end = place(value).max(LEFT + 1.5);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y:.0}" width="{:.1}" height="{:.0}" fill="{}"/>"#,
                end - LEFT,
                BAR - 2.0,
                colour(subject)
            );
            let _ = writeln!(
                body,
                r#"<text class="small" x="{:.1}" y="{:.0}">{}</text>"#,
                end + 5.0,
                y + BAR - 4.0,
                figure(value, unit)
            );
            y += BAR;
        }
        y += 12.0;
    }
    let mut grid = String::new();
    for power in low as i32..=(low + span) as i32 {
        let x = place(10f64.powi(power));
        let _ = writeln!(grid, r#"<line x1="{x:.1}" x2="{x:.1}" y1="{:.0}" y2="{y:.0}"/>"#, TOP - 6.0);
        let _ = writeln!(
            grid,
            r#"<text class="small" x="{x:.1}" y="{:.0}" text-anchor="middle">{}</text>"#,
            y + 12.0,
            figure(10f64.powi(power), unit)
        );
    }
    frame(title, &subjects(groups), y + 24.0, &format!("<g class=\"grid\">{grid}</g>\n{body}"))
}

/// Each sample of each subject as a dot along one linear axis.
pub fn spread(title: &str, unit: &str, rows: &[(String, Subject, &[f64])]) -> String {
    let all = rows.iter().flat_map(|row| row.2).copied();
    let (least, most) = all.fold((0.0f64, 0.0f64), |(least, most), value| (least.min(value), most.max(value)));
    let span = (most - least).max(1e-3);
    let left = LEFT - 60.0;
    let place = |value: f64| left + (value - least) / span * (WIDTH - left - 30.0);
    let (mut body, mut y) = (String::new(), TOP + 6.0);
    for (label, subject, samples) in rows {
        let _ = writeln!(
            body,
            r#"<text x="{:.0}" y="{:.0}" text-anchor="end">{}</text>"#,
            left - 12.0,
            y + 4.0,
            escape(label)
        );
        for sample in *samples {
            let _ = writeln!(
                body,
                r#"<circle cx="{:.1}" cy="{y:.0}" r="3" fill="{}" fill-opacity="0.45"/>"#,
                place(*sample),
                colour(*subject)
            );
        }
        y += 22.0;
    }
    let mut grid = String::new();
    for step in 0..=4 {
        let value = least + span * f64::from(step) / 4.0;
        let x = place(value);
        let _ = writeln!(grid, r#"<line x1="{x:.1}" x2="{x:.1}" y1="{:.0}" y2="{y:.0}"/>"#, TOP - 6.0);
        let _ = writeln!(
            grid,
            r#"<text class="small" x="{x:.1}" y="{:.0}" text-anchor="middle">{}</text>"#,
            y + 12.0,
            figure(value, unit)
        );
    }
    let mut shown: Vec<_> = rows.iter().map(|row| row.1).collect();
    shown.sort();
    shown.dedup();
    frame(title, &shown, y + 24.0, &format!("<g class=\"grid\">{grid}</g>\n{body}"))
}

fn subjects(groups: &[Group]) -> Vec<Subject> {
    let mut found: Vec<_> = groups.iter().flat_map(|group| &group.values).map(|value| value.0).collect();
    found.sort();
    found.dedup();
    found
}

fn frame(title: &str, subjects: &[Subject], height: f64, body: &str) -> String {
    let mut legend = String::new();
    let mut x = 12.0;
    for &subject in subjects {
        let _ = writeln!(legend, r#"<rect x="{x}" y="32" width="10" height="10" fill="{}"/>"#, colour(subject));
        let _ = writeln!(legend, r#"<text class="small" x="{}" y="41">{}</text>"#, x + 15.0, subject.name());
        x += 110.0;
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}" role="img">
<title>{0}</title>
<style>
svg {{ color: #1f2328; font: 13px system-ui, sans-serif; }}
text {{ fill: currentColor; }}
.small {{ font-size: 11px; }}
.grid line {{ stroke: currentColor; stroke-opacity: 0.15; }}
@media (prefers-color-scheme: dark) {{ svg {{ color: #e6edf3; }} }}
</style>
<text x="12" y="20" font-weight="600">{0}</text>
{legend}{body}</svg>
"#,
        escape(title)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_holds_its_figures() {
        let groups =
            [Group { label: "a < b".into(), values: vec![(Subject::Vrrpd, 2.0), (Subject::Keepalived, 40.0)] }];
        let svg = bars("CPU", "%", &groups);
        assert!(svg.contains("a &lt; b") && svg.contains("40.0 %") && svg.contains("prefers-color-scheme"));
        assert!(svg.matches("<rect").count() == 4, "two bars, two entries of the legend");
    }
}

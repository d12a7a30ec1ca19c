//! Draws curves over time into one SVG.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use plotters::prelude::{
    BLACK, ChartBuilder, Color, IntoDrawingArea, LineSeries, Palette, Palette99, PathElement, SVGBackend,
    SeriesLabelPosition, Text, WHITE,
};
use plotters::style::IntoFont;

/// The size of a panel, in pixels.
const PANEL: (u32, u32) = (420, 190);

/// The font of everything.
const FONT: &str = "sans-serif";

/// Curves over the same time, in the same unit.
#[derive(Clone, Debug)]
pub struct PlotPanel {
    /// What the panel shows.
    pub title: String,
    /// The unit of the values.
    pub unit: PlotUnit,
    /// The curves, by name. Each point is a time in seconds since the start, and a value.
    pub curves: BTreeMap<String, Vec<(f64, f64)>>,
}

/// A unit of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlotUnit {
    /// Plain numbers.
    Number,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Something a second.
    PerSecond,
}

/// What is drawn into one picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The panels, in rows from left to right.
    pub panels: Vec<PlotPanel>,
    /// Panels in a row.
    pub columns: u32,
    /// Names of moments, and when they were. All panels show them by a line, the first row by name.
    pub marks: Vec<(String, f64)>,
    /// The longest time between two points of a curve that are connected, in seconds.
    pub step: f64,
}

impl Plot {
    /// Writes the picture.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) {
        let rows = u32::try_from(self.panels.len()).expect("few panels").div_ceil(self.columns);
        let root = SVGBackend::new(file, (self.columns * PANEL.0, rows * PANEL.1)).into_drawing_area();
        root.fill(&WHITE).expect("a background");
        let areas = root.split_evenly((rows as usize, self.columns as usize));
        let end = self.panels.iter().flat_map(|panel| panel.curves.values()).flatten();
        let end = end.map(|(time, _)| *time).fold(1.0, f64::max);
        for (place, (panel, area)) in self.panels.iter().zip(&areas).enumerate() {
            let top = panel.top();
            let mut chart = ChartBuilder::on(area)
                .caption(&panel.title, (FONT, 13))
                .margin(6)
                .x_label_area_size(18)
                .y_label_area_size(46)
                .build_cartesian_2d(0.0..end, 0.0..top)
                .expect("a chart");
            chart
                .configure_mesh()
                .disable_x_mesh()
                .max_light_lines(0)
                .bold_line_style(BLACK.mix(0.1))
                .axis_style(BLACK.mix(0.4))
                .label_style((FONT, 9))
                .x_labels(6)
                .y_labels(4)
                .x_label_formatter(&|time| format!("{time:.0} s"))
                .y_label_formatter(&|value| panel.unit.text(*value))
                .draw()
                .expect("axes");
            let lines = self
                .marks
                .iter()
                .map(|(_, time)| PathElement::new(vec![(*time, 0.0), (*time, top)], BLACK.mix(0.15)));
            chart.draw_series(lines).expect("marks");
            if place < self.columns as usize {
                let style = (FONT, 8).into_font().color(&BLACK.mix(0.6));
                let name =
                    |(name, time): &(String, f64)| Text::new(name.clone(), (*time, top), style.clone());
                chart.draw_series(self.marks.iter().map(name)).expect("names of marks");
            }
            for (number, (name, points)) in panel.curves.iter().enumerate() {
                let color = Palette99::pick(number).to_rgba();
                for (part, points) in connected(points, self.step).into_iter().enumerate() {
                    let drawn = chart.draw_series(LineSeries::new(points, color)).expect("a curve");
                    if part == 0 {
                        let sample = move |(x, y)| PathElement::new([(x, y), (x + 10, y)], color);
                        drawn.label(name).legend(sample);
                    }
                }
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.25))
                .label_font((FONT, 9))
                .legend_area_size(12)
                .draw()
                .expect("a legend");
        }
        root.present().expect("the picture is written");
        drop(areas);
        drop(root);
        let text = fs::read_to_string(file).expect("the picture");
        fs::write(file, compact(&text)).expect("the picture is written");
    }
}

impl PlotPanel {
    /// Returns the upper end of the axis of values.
    fn top(&self) -> f64 {
        let values = self.curves.values().flatten().map(|(_, value)| *value);
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        if most > 0.0 { most * 1.15 } else { 1.0 }
    }
}

impl PlotUnit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Number => rounded(value),
            Self::Seconds if value < 1.0 && value > 0.0 => format!("{} ms", rounded(value * 1000.0)),
            Self::Seconds => format!("{} s", rounded(value)),
            Self::Bytes => format!("{} MiB", rounded(value / f64::from(1 << 20))),
            Self::PerSecond => format!("{}/s", rounded(value)),
        }
    }
}

/// Returns a number with at most two decimals.
fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns the parts of a curve between which there are no points. A point alone becomes a short
/// line.
fn connected(points: &[(f64, f64)], step: f64) -> Vec<Vec<(f64, f64)>> {
    let finite: Vec<_> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    let parts = finite.chunk_by(|(before, _), (after, _)| after - before <= step);
    let line = |part: &[(f64, f64)]| match part {
        [(time, value)] => vec![(*time, *value), (time + step / 2.0, *value)],
        part => part.to_vec(),
    };
    parts.map(line).collect()
}

/// Removes what says the default, or the same in every element.
fn compact(svg: &str) -> String {
    let font = format!(" font-family=\"{FONT}\"");
    let text = [" opacity=\"1\"", " stroke-width=\"1\"", &font]
        .iter()
        .fold(svg.to_owned(), |text, word| text.replace(word, ""));
    let text = text.replacen("<svg", &format!("<svg{font}"), 1).replace(">\n", ">").replace("\n<", "<");
    text.replace("><", ">\n<")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_gaps_where_there_are_no_points() {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 1.0)];
        let parts = connected(&points, 1.5);
        assert_eq!(parts, [vec![(0.0, 1.0), (1.0, 2.0)], vec![(3.0, 1.0), (4.0, 1.0)]]);
        assert_eq!(connected(&points[..1], 1.0), [vec![(0.0, 1.0), (0.5, 1.0)]]);
    }

    #[test]
    fn a_picture_names_its_panels_curves_and_marks() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("plot.svg");
        let curves = BTreeMap::from([("resident".to_owned(), vec![(0.0, 1e6), (1.0, 2e6)])]);
        let panel = PlotPanel { title: "Memory".to_owned(), unit: PlotUnit::Bytes, curves };
        let plot =
            Plot { panels: vec![panel], columns: 2, marks: vec![("restart".to_owned(), 0.5)], step: 1.5 };
        plot.write(&file);
        let svg = std::fs::read_to_string(&file).expect("the picture");
        for word in ["Memory", "resident", "restart", "MiB", "polyline"] {
            assert!(svg.contains(word), "no {word} in {svg}");
        }
    }
}

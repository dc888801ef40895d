//! One simulated run as a drawing: a lane per broker with its requests, the faults above, the
//! outcomes and the buffered bytes below. Each shape tells more to whoever points at it.

use std::collections::BTreeMap;

use producer_sim::Instant;
use producer_sim::run::{Failure, Request, RequestEnd, Timeline};
use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Line, Path, Rectangle, Style, Text, Title};

const LEFT: f64 = 110.0;
const WIDTH: f64 = 1_400.0;
const RIGHT: f64 = 30.0;
/// Requests under way at the same time get rows of their own.
const ROW: f64 = 9.0;
const LANE_GAP: f64 = 12.0;
const OUTCOMES: f64 = 34.0;
const CHART: f64 = 130.0;
/// A shape narrower than this cannot be seen.
const LEAST: f64 = 1.0;

const STYLE: &str = "
text { font: 11px sans-serif; fill: #333 }
.title { font-weight: bold; font-size: 13px }
.axis { stroke: #ddd } .lane { fill: #f6f6f6 }
.opening { fill: #f0c674 } .up { fill: #b8c9d9 }
.produce { fill: #4078c0 } .other { fill: #8f8f8f } .retry { fill: #e08a1e }
.refused { stroke: #c00; stroke-width: 1.5 } .lost { fill-opacity: .35; stroke: #c00; stroke-dasharray: 2 }
.open { fill-opacity: .35 }
.fault { stroke: #c00; stroke-opacity: .45; stroke-dasharray: 3 2 } .failure { stroke: #c00; stroke-width: 2 }
.delivered { fill: #2e9e48 } .failed { fill: #c00 }
.buffered { fill: #cbb7e0; stroke: #7a52a8 }
";

/// From times and lanes to places on the drawing.
struct Canvas {
    begin: Instant,
    scale: f64,
    document: Document,
}

impl Canvas {
    fn x(&self, at: Instant) -> f64 {
        let micros = at.saturating_since(self.begin).as_micros() as f64;
        LEFT + (micros * self.scale).min(WIDTH)
    }

    fn add(&mut self, node: impl Into<Box<dyn svg::Node>>) {
        svg::Node::append(&mut self.document, node);
    }

    fn bar(
        &mut self,
        class: &str,
        (from, to): (Instant, Instant),
        (y, height): (f64, f64),
        what: &str,
    ) {
        let (left, right) = (self.x(from), self.x(to));
        let bar = Rectangle::new()
            .set("class", class)
            .set("x", rounded(left))
            .set("y", y)
            .set("width", rounded((right - left).max(LEAST)))
            .set("height", height)
            .add(Title::new(format!("{from:?} to {to:?}\n{what}")));
        self.add(bar);
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, text: impl Into<String>) {
        let text = Text::new(text).set("x", rounded(x)).set("y", y).set("text-anchor", anchor);
        self.add(text);
    }

    fn rule(&mut self, class: &str, at: Instant, (top, bottom): (f64, f64), what: &str) {
        let x = rounded(self.x(at));
        let mut line = Line::new()
            .set("class", class)
            .set("x1", x)
            .set("x2", x)
            .set("y1", top)
            .set("y2", bottom);
        if !what.is_empty() {
            line = line.add(Title::new(format!("{at:?}\n{what}")));
        }
        self.add(line);
    }
}

fn rounded(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

/// Draws a run; `title` says which.
pub(super) fn draw(timeline: &Timeline, failure: Option<&Failure>, title: &str) -> Document {
    let end = failure.map_or(timeline.end, |failure| failure.at.max(timeline.end));
    let begin = Instant::ZERO;
    let micros = (end - begin).as_micros().max(1) as f64;
    let document = Document::new().add(Style::new(STYLE));
    let mut canvas = Canvas { begin, scale: WIDTH / micros, document };
    let lanes = lanes(timeline, end);
    let heights: f64 = lanes.values().map(|lane| lane.height() + LANE_GAP).sum();
    let top = 64.0;
    let bottom = top + heights + OUTCOMES + LANE_GAP + CHART;
    canvas.text((LEFT, 18.0), "start", title);
    legend(&mut canvas);
    axis(&mut canvas, micros, (top, bottom));
    let mut y = top;
    for (broker, lane) in &lanes {
        let name = broker.map_or("bootstrap".to_owned(), |broker| format!("broker {broker}"));
        draw_lane(&mut canvas, timeline, end, (*broker, &name), lane, y);
        y += lane.height() + LANE_GAP;
    }
    draw_outcomes(&mut canvas, timeline, end, y);
    draw_buffered(&mut canvas, timeline, end, y + OUTCOMES + LANE_GAP);
    for (at, what) in timeline.faults.iter().filter(|(at, _)| *at <= end) {
        canvas.rule("fault", *at, (top - 8.0, bottom), what);
    }
    if let Some(failure) = failure {
        canvas.rule("failure", failure.at, (top - 8.0, bottom), &failure.to_string());
        canvas.text((LEFT, 50.0), "start", failure.to_string());
    }
    let (width, height) = (LEFT + WIDTH + RIGHT, bottom + 28.0);
    canvas.document.set("viewBox", (0, 0, width as i64, height as i64))
}

/// The requests of one broker, each with its row.
#[derive(Default)]
struct Lane<'a> {
    requests: Vec<(usize, &'a Request)>,
    rows: usize,
}

impl Lane<'_> {
    fn height(&self) -> f64 {
        8.0 + ROW * self.rows.max(1) as f64
    }
}

fn lanes(timeline: &Timeline, end: Instant) -> BTreeMap<Option<i32>, Lane<'_>> {
    let mut lanes = BTreeMap::<_, Lane<'_>>::new();
    for connection in timeline.connections.iter().filter(|c| c.asked <= end) {
        lanes.entry(connection.broker).or_default();
    }
    // When each row of a lane is free again.
    let mut free = BTreeMap::<_, Vec<Instant>>::new();
    for request in timeline.requests.iter().filter(|request| request.sent <= end) {
        let rows = free.entry(request.broker).or_default();
        let done = request.done.unwrap_or(end);
        let row = rows.iter().position(|free| *free <= request.sent).unwrap_or(rows.len());
        match rows.get_mut(row) {
            Some(free) => *free = done,
            None => rows.push(done),
        }
        let lane = lanes.entry(request.broker).or_default();
        lane.requests.push((row, request));
        lane.rows = rows.len();
    }
    lanes
}

fn draw_lane(
    canvas: &mut Canvas,
    timeline: &Timeline,
    end: Instant,
    (broker, name): (Option<i32>, &str),
    lane: &Lane<'_>,
    y: f64,
) {
    canvas.text((LEFT - 8.0, y + 10.0), "end", name);
    let whole = (canvas.begin, end);
    canvas.bar("lane", whole, (y, lane.height()), name);
    for connection in timeline.connections.iter().filter(|c| c.broker == broker && c.asked <= end) {
        let gone = connection.gone.unwrap_or(end).min(end);
        let up = connection.up.unwrap_or(gone).min(gone);
        canvas.bar("opening", (connection.asked, up), (y, 4.0), "connecting");
        if connection.up.is_some() {
            canvas.bar("up", (up, gone), (y, 4.0), "connected");
        }
    }
    for (row, request) in &lane.requests {
        let kind = match (request.is_retry, request.is_produce()) {
            (true, _) => "retry",
            (false, true) => "produce",
            (false, false) => "other",
        };
        let (end_class, what) = match request.end {
            RequestEnd::Open => (" open", "not answered".to_owned()),
            RequestEnd::Unasked => ("", "no answer is due".to_owned()),
            RequestEnd::Answered => ("", "answered".to_owned()),
            RequestEnd::Refused(code) => (" refused", code.to_string()),
            RequestEnd::Lost => (" lost", "connection lost".to_owned()),
        };
        let times = (request.sent, request.done.unwrap_or(end).min(end));
        let place = (y + 6.0 + ROW * *row as f64, ROW - 1.5);
        let what = format!("{}: {what}\n{}", request.api, request.text);
        canvas.bar(&format!("{kind}{end_class}"), times, place, &what);
    }
}

/// Deliveries upwards, failures downwards.
fn draw_outcomes(canvas: &mut Canvas, timeline: &Timeline, end: Instant, y: f64) {
    canvas.text((LEFT - 8.0, y + 12.0), "end", "delivered");
    canvas.text((LEFT - 8.0, y + 29.0), "end", "failed");
    for told in timeline.outcomes.iter().filter(|told| told.at <= end) {
        let (class, top) = if told.is_delivered { ("delivered", y) } else { ("failed", y + 18.0) };
        canvas.bar(class, (told.at, told.at), (top, 15.0), &told.text);
    }
}

fn draw_buffered(canvas: &mut Canvas, timeline: &Timeline, end: Instant, y: f64) {
    let shown: Vec<_> = timeline.buffered.iter().filter(|(at, _)| *at <= end).collect();
    let most = shown.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    canvas.text((LEFT - 8.0, y + 10.0), "end", format!("{most} bytes"));
    canvas.text((LEFT - 8.0, y + CHART), "end", "buffered");
    let height = |bytes: usize| y + CHART - CHART * bytes as f64 / most.max(1) as f64;
    let mut data = Data::new().move_to((LEFT, y + CHART));
    for (at, bytes) in shown {
        data = data.horizontal_line_to(rounded(canvas.x(*at)));
        data = data.vertical_line_to(rounded(height(*bytes)));
    }
    data = data.horizontal_line_to(rounded(canvas.x(end))).vertical_line_to(y + CHART).close();
    canvas.add(Path::new().set("class", "buffered").set("d", data));
}

/// About ten ticks at round times.
fn axis(canvas: &mut Canvas, micros: f64, (top, bottom): (f64, f64)) {
    let rough = micros / 10.0;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough).max(1.0);
    let mut tick = 0.0;
    while tick <= micros {
        let at = canvas.begin + std::time::Duration::from_micros(tick as u64);
        canvas.rule("axis", at, (top, bottom), "");
        let x = canvas.x(at);
        canvas.text((x, bottom + 16.0), "middle", format!("{} s", rounded_seconds(tick)));
        tick += step;
    }
}

fn rounded_seconds(micros: f64) -> f64 {
    (micros / 1e3).round() / 1e3
}

fn legend(canvas: &mut Canvas) {
    let entries = [
        ("opening", "connecting"),
        ("up", "connected"),
        ("produce", "Produce"),
        ("retry", "Produce again"),
        ("other", "other request"),
        ("produce refused", "refused"),
        ("produce lost", "connection lost"),
        ("delivered", "delivered"),
        ("failed", "failed"),
    ];
    let mut x = LEFT;
    for (class, name) in entries {
        let sample = Rectangle::new().set("class", class).set("width", 14).set("height", 8);
        canvas.add(sample.set("x", x).set("y", 26.0));
        canvas.text((x + 19.0, 34.0), "start", name);
        x += 34.0 + 6.5 * name.len() as f64;
    }
    canvas.text((x, 34.0), "start", "dashed: a fault");
}

#[cfg(test)]
mod tests {
    use super::*;
    use producer_sim::run::{Script, run_and_draw};

    const SCRIPT: &str = "(brokers: 2, topics: [(partitions: 2)], steps: [
        (0, Do(Push(topic: 0, to: Partition(0), size: 100))),
        (1000, Do(Push(topic: 0, to: Partition(1), size: 100))),
        (20000, Fault(Reset(broker: 1, fate: Never))),
        (20001, Fault(Refuse(topic: 0, partition: 1, code: 19, after: false, times: 1))),
        (30000, Do(Push(topic: 0, to: Partition(1), size: 100))),
        (30000, Do(Push(topic: 0, to: Partition(0), size: 100))),
    ])";

    #[test]
    fn a_drawing_has_a_lane_for_each_broker_and_shows_requests_faults_outcomes_and_memory() {
        let script: Script = SCRIPT.parse().unwrap();
        let (report, timeline) = run_and_draw(&script).unwrap();
        assert_eq!(report.failure, None);
        assert_eq!(report, producer_sim::run::run(&script).unwrap(), "looking changes nothing");
        let text = draw(&timeline, None, "a run").to_string();
        for part in [
            "broker 1",
            "broker 2",
            "class=\"fault\"",
            "Reset",
            "class=\"produce refused\"",
            "class=\"retry\"",
            "class=\"delivered\"",
            "class=\"buffered\"",
            "a run",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let delivered: u32 = timeline.outcomes.iter().map(|told| told.records).sum();
        assert_eq!(u64::from(delivered), report.records);
        assert!(timeline.requests.iter().all(|request| request.done.is_some()));
    }
}

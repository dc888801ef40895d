//! Records whose every byte follows from their number, so that what comes back can be compared
//! without keeping what was sent.

/// Time of record 0; record `i` has this plus `i` milliseconds. That makes the timestamp, which
/// Kafka keeps for us, the identity of a record.
pub(crate) const EPOCH: i64 = 1_700_000_000_000;

/// What Kafka's console consumer prints for a null key, value or header value.
pub(crate) const NULL: &[u8] = b"<null>";

/// One record.
pub(crate) struct Sample {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Sample {
    /// Record number `index`: a third has a key, sizes are mixed, some things are null or empty.
    pub(crate) fn new(index: u64) -> Self {
        let mut draw = Draw(index);
        let key = (draw.below(3) == 0).then(|| draw.key());
        let value = draw.value();
        let headers = (0..draw.below(8).saturating_sub(4)).map(|_| draw.header()).collect();
        let timestamp = EPOCH + i64::try_from(index).expect("a test has fewer records");
        Self { timestamp, key, value, headers }
    }

    /// The end of the line that the console consumer prints for it: headers, key, value.
    pub(crate) fn printed(&self) -> Vec<u8> {
        let mut line = Vec::new();
        if self.headers.is_empty() {
            line.extend_from_slice(b"NO_HEADERS");
        }
        for (i, (name, value)) in self.headers.iter().enumerate() {
            if i > 0 {
                line.push(b',');
            }
            line.extend_from_slice(name.as_bytes());
            line.push(b':');
            line.extend_from_slice(value.as_deref().unwrap_or(NULL));
        }
        for field in [&self.key, &self.value] {
            line.push(b'\t');
            line.extend_from_slice(field.as_deref().unwrap_or(NULL));
        }
        line
    }
}

/// Numbers that follow from a record's index (splitmix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of a thousand keys, so that each comes often; one of them is empty.
    fn key(&mut self) -> Vec<u8> {
        let mut of_key = Self(self.below(1000) ^ 0x6b65_7973);
        let length = of_key.below(24);
        of_key.bytes(length)
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let length = match self.below(100_000) {
            0..5 => self.below(500_000),
            5..2_500 => self.below(10_000),
            2_500..15_000 => self.below(1_500),
            15_000..20_000 => 0,
            20_000..25_000 => return None,
            _ => self.below(200),
        };
        if self.below(4) == 0 { Some(self.bytes(length)) } else { Some(self.text(length)) }
    }

    fn header(&mut self) -> (String, Option<Vec<u8>>) {
        const NAMES: [&str; 5] = ["trace", "trace", "", "käse", "content type"];
        let name = NAMES[self.below(5) as usize].to_owned();
        let value = match self.below(8) {
            0 => None,
            1 => Some(Vec::new()),
            _ => {
                let length = self.below(40);
                Some(self.bytes(length))
            }
        };
        (name, value)
    }

    /// Any bytes but those that the console consumer's lines are made of.
    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length)
            .map(|_| match self.next() as u8 {
                b'\n' | b'\t' | b',' | b':' | b'<' => b'.',
                byte => byte,
            })
            .collect()
    }

    /// Something that compresses.
    fn text(&mut self, length: u64) -> Vec<u8> {
        const WORDS: [&str; 8] =
            ["order", "basket", "{\"id\"=", "null}", "page_view", "0000", "zürich", " "];
        let length = length as usize;
        let mut text = Vec::with_capacity(length + 16);
        while text.len() < length {
            text.extend_from_slice(WORDS[self.below(8) as usize].as_bytes());
        }
        text.truncate(length);
        text
    }
}

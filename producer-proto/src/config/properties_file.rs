//! The text form of `java.util.Properties`.

use std::iter::Peekable;
use std::str::Chars;

use super::ConfigError;

/// The names and values of a text, in order.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut reader = Reader { chars: text.chars().peekable(), line: 1 };
    let mut properties = Vec::new();
    while reader.skip_to_property() {
        let name = reader.text(true)?;
        reader.skip_separator();
        let value = reader.text(false)?;
        properties.push((name, value));
    }
    Ok(properties)
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    /// Skips blank lines and comments. Returns whether there is anything behind them.
    fn skip_to_property(&mut self) -> bool {
        loop {
            match self.chars.peek().copied() {
                None => return false,
                Some('#' | '!') => while self.chars.next_if(|c| !is_line_end(*c)).is_some() {},
                Some(c) if is_line_end(c) => self.end_line(),
                Some(c) if is_blank(c) => drop(self.chars.next()),
                Some('\\') if self.continues() => self.continue_line(),
                Some(_) => return true,
            }
        }
    }

    /// Blanks and at most one `=` or `:` between name and value.
    fn skip_separator(&mut self) {
        self.skip_blanks();
        if self.chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
            self.skip_blanks();
        }
    }

    /// Blanks, also those round the end of a continued line.
    fn skip_blanks(&mut self) {
        loop {
            while self.chars.next_if(|c| is_blank(*c)).is_some() {}
            if self.chars.peek() != Some(&'\\') || !self.continues() {
                return;
            }
            self.continue_line();
        }
    }

    /// A name, up to a separator, or a value, up to the end of the line.
    fn text(&mut self, name: bool) -> Result<String, ConfigError> {
        let mut text = String::new();
        while let Some(&c) = self.chars.peek() {
            if is_line_end(c) || name && (is_blank(c) || matches!(c, '=' | ':')) {
                break;
            }
            if c != '\\' {
                text.push(c);
                self.chars.next();
            } else if self.continues() {
                self.continue_line();
            } else {
                self.chars.next();
                text.push(self.escaped()?);
            }
        }
        Ok(text)
    }

    /// Whether the backslash ahead is the last character of its line.
    fn continues(&self) -> bool {
        let mut ahead = self.chars.clone();
        ahead.next();
        ahead.next().is_none_or(is_line_end)
    }

    /// Takes the backslash, the end of the line and the blanks that begin the next one.
    fn continue_line(&mut self) {
        self.chars.next();
        self.end_line();
        while self.chars.next_if(|c| is_blank(*c)).is_some() {}
    }

    fn end_line(&mut self) {
        if let Some(c) = self.chars.next() {
            self.line += 1;
            if c == '\r' {
                self.chars.next_if_eq(&'\n');
            }
        }
    }

    /// What the characters after a backslash stand for. There is one, because the line goes on.
    fn escaped(&mut self) -> Result<char, ConfigError> {
        Ok(match self.chars.next() {
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\u{c}',
            Some('u') => return self.unicode(),
            other => other.unwrap_or('\\'),
        })
    }

    /// A `\uXXXX`, or two that are a surrogate pair.
    fn unicode(&mut self) -> Result<char, ConfigError> {
        let first = self.unit()?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first)
            && self.chars.next_if_eq(&'\\').is_some()
            && self.chars.next_if_eq(&'u').is_some()
        {
            units.push(self.unit()?);
        }
        let lone = ConfigError::Syntax { line: self.line, problem: "half of a surrogate pair" };
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(c)), None) => Ok(c),
            _ => Err(lone),
        }
    }

    fn unit(&mut self) -> Result<u16, ConfigError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.chars.next().and_then(|c| c.to_digit(16));
            let problem = "\\u needs four hexadecimal digits";
            unit = unit * 16 + digit.ok_or(ConfigError::Syntax { line: self.line, problem })?;
        }
        Ok(unit as u16)
    }
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

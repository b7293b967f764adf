//! What was found: well, or to be looked at, or wrong; and what to do.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    pub check: &'static str,
    pub level: Level,
    pub text: String,
    /// What to do; `None` where all is well.
    pub advice: Option<String>,
}

impl Finding {
    pub fn line(&self) -> String {
        let line = format!("{:<5} {:<12} {}", self.level.word(), self.check, self.text);
        match &self.advice {
            Some(advice) => format!("{line}\n{:18} → {advice}", ""),
            None => line,
        }
    }
}

/// All findings, in the order in which they were made.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    pub fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push(Finding { check, level: Level::Ok, text: text.into(), advice: None });
    }

    pub fn warn(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding { check, level: Level::Warn, text: text.into(), advice: Some(advice.into()) });
    }

    pub fn fail(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding { check, level: Level::Fail, text: text.into(), advice: Some(advice.into()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_to_do() {
        let mut findings = Findings::default();
        findings.ok("disk", "well");
        findings.fail("log", "torn", "mend it");
        let lines: Vec<String> = findings.all().iter().map(Finding::line).collect();
        assert_eq!(lines[0], "ok    disk         well");
        assert!(lines[1].starts_with("fail  log          torn\n") && lines[1].ends_with("→ mend it"));
    }
}

//! Which proxy is used: Coffer's choice and that of `golang.org/x/net/http/httpproxy`, for the same
//! variables and addresses.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use coffer_connect::{ProxyRules, ProxyScheme, ProxyServer, UnusableProxy};
use coffer_tests::kubernetes::proxy_rules_program;
use serde::Deserialize;
use serde_json::json;

/// Number of questions that are made up of the parts below.
const QUESTIONS: usize = 12_000;

const SCHEMES: [&str; 14] = [
    "",
    "",
    "http://",
    "http://",
    "https://",
    "socks5://",
    "socks5h://",
    "HTTP://",
    "tcp://",
    "socks4://",
    "//",
    "http:/",
    "http:",
    " http://",
];
const USERS: [&str; 12] = [
    "",
    "",
    "",
    "",
    "user@",
    "user:pass@",
    "us%65r:p%40ss@",
    "user:p@ss@",
    ":@",
    "u:p%2@",
    "u:p w@",
    "u:päss@",
];
const PROXIES: [&str; 18] = [
    "proxy",
    "Proxy.Example",
    "10.9.8.7",
    "[fd00::9]",
    "[::ffff:10.9.8.7]",
    "fd00::9",
    "[10.9.8.7]",
    "",
    "a b",
    "pro%41xy",
    "bücher.example",
    "proxy_1",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "p<x>",
    "pr%6fxy",
    "a,b",
    "[fd00::9",
];
const PORTS: [&str; 11] =
    ["", "", ":3128", ":3128", ":0080", ":", ":port", ":70000", ":31:28", ":-1", ":3128x"];
const PATHS: [&str; 8] = ["", "", "", "/", "/path?query#x", "/%zz", "#%z", "?q"];

const PREFIXES: [&str; 7] = ["", "", "", ".", "*.", "*", ".*."];
const HOSTS: [&str; 27] = [
    "vault",
    "vault.example",
    "VAULT.Example",
    "example",
    "a.vault.example",
    "vault.example.",
    "notvault.example",
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.9/31",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "0.0.0.0/0",
    "10.0.0.1/",
    "010.0.0.1",
    "fd00::1",
    "[fd00::1]",
    "fd00::/8",
    "FD00:0:0::1",
    "::/0",
    "::ffff:10.0.0.1",
    "::ffff:10.0.0.0/104",
    "::ffff:0.0.0.0/90",
    "bücher.example",
    "localhost",
    "",
    "*",
];
const LIST_PORTS: [&str; 8] = ["", "", "", ":8200", ":443", ":", ":x", ":08200"];
const SPACES: [&str; 5] = ["", "", "", " ", "\t"];

const TARGETS: [&str; 20] = [
    "vault",
    "vault.example",
    "a.vault.example",
    "notvault.example",
    "vault.example.",
    "example",
    "xn--bcher-kva.example",
    "10.0.0.1",
    "10.0.0.8",
    "110.0.0.1",
    "11.0.0.1",
    "fd00::1",
    "fd12::1",
    "fe80::1",
    "::ffff:10.0.0.1",
    "localhost",
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "::ffff:127.0.0.1",
];
const TARGET_PORTS: [u16; 4] = [8200, 8200, 443, 80];

/// What a Go program does.
#[derive(Debug, Deserialize)]
struct GoChoice {
    is_direct: bool,
    is_refused: bool,
    scheme: String,
    host: String,
    port: String,
    path: String,
    authorization: String,
}

struct Question {
    variables: Vec<(&'static str, String)>,
    scheme: &'static str,
    host: &'static str,
    port: u16,
}

/// Chooses parts; the same ones in each run.
struct Choices(u64);

impl Choices {
    fn number(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.number(of.len())]
    }

    fn proxy(&mut self) -> String {
        [&SCHEMES[..], &USERS, &PROXIES, &PORTS, &PATHS].map(|parts| self.one(parts)).concat()
    }

    fn no_proxy(&mut self) -> String {
        let mut list = String::new();
        for _ in 0..self.number(4) {
            let entry = [&SPACES[..], &PREFIXES, &HOSTS, &LIST_PORTS, &SPACES].map(|parts| self.one(parts));
            write!(list, "{},", entry.concat()).unwrap();
        }
        if self.number(2) == 0 {
            list.pop();
        }
        list
    }

    fn question(&mut self) -> Question {
        let mut variables = Vec::new();
        // half of the questions have a good proxy, so that NO_PROXY decides
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
            match self.number(4) {
                0 | 1 => variables.push((name, "http://proxy.example:3128".to_owned())),
                2 => variables.push((name, self.proxy())),
                _ => {}
            }
        }
        for name in ["NO_PROXY", "no_proxy"] {
            if self.number(3) > 0 {
                variables.push((name, self.no_proxy()));
            }
        }
        if self.number(16) == 0 {
            variables.push(("REQUEST_METHOD", "GET".to_owned()));
        }
        Question {
            variables,
            scheme: self.one(&["http", "https", "https"]),
            host: self.one(&TARGETS),
            port: self.one(&TARGET_PORTS),
        }
    }
}

impl Question {
    fn json(&self) -> serde_json::Value {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() };
        let env: serde_json::Map<_, _> =
            self.variables.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        json!({ "env": env, "url": format!("{}://{host}:{}/v1/sys/health", self.scheme, self.port) })
    }

    fn value(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    }

    /// Tells whether Coffer chooses as Go does.
    fn agrees(&self, go: &GoChoice) -> bool {
        let rules = ProxyRules::from_environment(&|name| self.value(name));
        match rules.proxy_for(self.scheme, self.host, self.port) {
            Ok(None) => go.is_direct,
            Ok(Some(server)) => !go.is_direct && !go.is_refused && is_same(server, go),
            Err(UnusableProxy::Cgi { .. }) => go.is_refused,
            Err(UnusableProxy::Bad(_)) => !go.is_direct && go.names_no_proxy(),
        }
    }
}

impl GoChoice {
    /// Returns whether Go took the text for a proxy that cannot be meant, and would fail to connect.
    fn names_no_proxy(&self) -> bool {
        let is_own_scheme = self.port.is_empty() && self.path.starts_with('/');
        let is_other = !["http", "https", "socks5", "socks5h"].contains(&self.scheme.as_str());
        let has_no_port = is_other && self.port.is_empty();
        self.host.is_empty()
            || ["http", "tcp", "socks4", "https", "socks5", "socks5h", "HTTP"].contains(&self.host.as_str())
                && is_own_scheme
            || self.port.parse::<u32>().is_ok_and(|port| port > 65_535)
            || has_no_port
            || self.scheme == "socks4"
    }
}

fn is_same(server: &ProxyServer, go: &GoChoice) -> bool {
    let (scheme, default) = match go.scheme.as_str() {
        "https" => (ProxyScheme::Https, 443),
        "socks5" | "socks5h" => (ProxyScheme::Socks5, 1080),
        _ => (ProxyScheme::Http, 80),
    };
    let port = if go.port.is_empty() { Some(default) } else { go.port.parse().ok() };
    // Go turns a name into ASCII, and an empty one into this machine, when it connects
    let host = match go.host.as_str() {
        "" => "localhost",
        "bücher.example" => "xn--bcher-kva.example",
        host => host,
    };
    let authorization = server.authorization().map(|value| value.to_str().unwrap().to_owned());
    server.scheme() == scheme
        && server.host() == host
        && Some(server.port()) == port
        && authorization.unwrap_or_default() == go.authorization
}

#[test]
fn the_proxy_is_the_one_that_go_chooses() {
    let mut choices = Choices(16);
    let questions: Vec<_> = (0..QUESTIONS).map(|_| choices.question()).collect();
    let go = ask_go(&questions);
    assert_eq!(go.len(), questions.len());
    let through: Vec<_> = go.iter().filter(|choice| !choice.is_direct).collect();
    assert!(through.len() > QUESTIONS / 4 && through.len() < QUESTIONS * 3 / 4, "{}", through.len());
    let wrong = questions.iter().zip(&go).filter(|(question, go)| !question.agrees(go));
    let wrong: Vec<_> = wrong.map(|(question, go)| format!("{}\n  Go: {go:?}", question.json())).collect();
    let first = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {QUESTIONS} differ:\n{first}", wrong.len());
}

fn ask_go(questions: &[Question]) -> Vec<GoChoice> {
    let mut go = Command::new(proxy_rules_program());
    let mut go = go.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = go.stdin.take().unwrap();
    let lines: String = questions.iter().map(|question| format!("{}\n", question.json())).collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = go.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

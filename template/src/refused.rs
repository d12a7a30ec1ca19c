//! Functions and keywords that other programs know, and what to use instead.

use crate::fault::TemplateProblem;
use crate::functions::{FUNCTIONS, TemplateFunction};

const FILES: &str = "a template reads secrets alone; mount a ConfigMap beside the volume";
const ENVIRONMENT: &str = "the agent's environment is not the pod's; write the value into the template";
const CONSUL: &str = "Coffer reads Vault alone, not Consul or Nomad";
const PARTS: &str = "write the text where it is used";
const MANY: &str = "a path is known before anything is read; name each secret with secret";
const MATH: &str = "templates do not calculate; store the number in Vault";
const DIGESTS: &str = "hashes of secrets are not made; store the hash in Vault";
const CLOCK: &str = "a file must be the same until its secrets change";
const LOOPS: &str = "use range with a number or a list";
const SLICING: &str = "use split and index";
const SCRATCH: &str = "use variables: {{ $name := … }}, and {{ $name = … }} in a block";
const WRITING: &str = "add an object for each file to the class";
const PARSING: &str = "use parseJSON, or store each value under its own key";
const CONVERSION: &str = "store the value as number or boolean in Vault, or compare it as text";
const DEBUGGING: &str = "use printf \"%v\"";
const WEB: &str = "use toJSON, or store the escaped value in Vault";
const URL_CODE: &str = "use replaceAll and base64Encode";
const PATTERNS: &str = "use contains, replaceAll, split or trim";
const TITLES: &str = "use toUpper or toLower";
const ENDS: &str = "use trim, split or replaceAll";
const SETS: &str = "use contains for each value";
const MAPS: &str = "use one secret for each map, and range over each";
const FORMATS: &str = "use toJSON or toYAML";

/// Names, and what to use instead.
const REFUSED: &[(&[&str], &str)] = &[
    (&["define", "block", "template", "executeTemplate", "include", "tpl"], PARTS),
    (&["html", "js"], WEB),
    (&["urlquery", "urlquery", "base64URLDecode", "base64URLEncode"], URL_CODE),
    (&["slice", "substr", "trunc"], SLICING),
    (&["call"], "call the function by its name"),
    (&["env", "mustEnv", "envOrDefault", "expandenv"], ENVIRONMENT),
    (&["file", "plugin", "readFile"], FILES),
    (&["secrets", "byKey", "explode", "tree", "safeTree", "ls", "safeLs"], MANY),
    (
        &[
            "key",
            "keyExists",
            "keyOrDefault",
            "service",
            "services",
            "connect",
            "node",
            "nodes",
            "datacenters",
            "exportedServices",
            "partitions",
            "peerings",
            "caRoots",
            "caLeaf",
            "byPort",
            "byTag",
            "byMeta",
            "nomadServices",
            "nomadService",
            "nomadVarList",
            "nomadVarListSafe",
            "nomadVar",
            "nomadVarExists",
            "sockaddr",
        ],
        CONSUL,
    ),
    (&["scratch", "set", "dict"], SCRATCH),
    (&["writeToFile"], WRITING),
    (&["loop", "until", "seq"], LOOPS),
    (&["parseYAML", "explodeMap", "splitToMap", "fromYaml", "fromJsonArray"], PARSING),
    (
        &["parseBool", "parseFloat", "parseInt", "parseUint", "int", "int64", "float64", "atoi", "toString"],
        CONVERSION,
    ),
    (&["mergeMap", "mergeMapWithOverride", "merge"], MAPS),
    (&["containsAll", "containsAny", "containsNone", "containsNotAll", "in", "has"], SETS),
    (&["regexMatch", "regexReplaceAll"], PATTERNS),
    (&["sha256Hex", "md5sum", "hmacSHA256Hex", "sha256sum", "sha1sum", "htpasswd", "bcrypt"], DIGESTS),
    (&["timestamp", "now", "date", "randAlphaNum", "uuidv4", "genPrivateKey"], CLOCK),
    (&["toTitle", "title"], TITLES),
    (&["trimPrefix", "trimSuffix", "trimAll"], ENDS),
    (&["toTOML", "toToml"], FORMATS),
    (
        &[
            "add", "subtract", "multiply", "divide", "modulo", "minimum", "maximum", "add1", "sub", "mul",
            "div", "mod",
        ],
        MATH,
    ),
    (&["spew_dump", "spew_printf", "spew_sdump", "spew_sprintf"], DEBUGGING),
    (&["b64dec"], "use base64Decode"),
    (&["b64enc"], "use base64Encode"),
    (&["upper"], "use toUpper"),
    (&["lower"], "use toLower"),
    (&["replace"], "use replaceAll"),
    (&["nospace"], "use replaceAll \" \" \"\""),
    (&["quote"], "use toJSON, or printf \"%q\""),
    (&["squote"], "use printf \"'%s'\""),
    (&["default", "coalesce"], "use or: {{ or .Data.key \"default\" }}"),
    (&["ternary"], "use if and else"),
    (&["required", "fail"], "a missing key fails the mount, unless errorOnMissingKey is false"),
    (&["nindent"], "use indent after a line break"),
    (&["toJson", "mustToJson"], "use toJSON"),
    (&["toPrettyJson"], "use toJSONPretty"),
    (&["toRawJson"], "use toUnescapedJSON"),
    (&["toYaml"], "use toYAML"),
    (&["fromJson", "mustFromJson"], "use parseJSON"),
    (&["splitList"], "use split"),
    (&["get", "hasKey"], "use index, or if"),
    (&["keys", "values"], "use range with two variables"),
    (
        &["pkcs12key", "pkcs12cert", "pemTruststoreToJKS", "filterPEM", "jwkPublicKeyPem"],
        "store the converted value in Vault",
    ),
];

/// Functions of sprig, which consul-template names `sprig_…`.
const SPRIG: &str = "functions of sprig are not there; use those of consul-template";

/// Returns what is wrong with the name of a function that is not supported.
pub(crate) fn refused(name: &str) -> TemplateProblem {
    let advice = REFUSED.iter().find(|(names, _)| names.contains(&name)).map(|(_, advice)| *advice);
    let advice = advice.or_else(|| name.starts_with("sprig_").then_some(SPRIG));
    match advice {
        Some(advice) => TemplateProblem::Refused { name: shown(name), advice },
        None => TemplateProblem::UnknownFunction { name: shown(name), nearest: nearest(name) },
    }
}

/// Returns the function with the most similar name, if one is similar enough to be meant.
fn nearest(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &lower);
    let names = FUNCTIONS.iter().map(|(known, _)| (distance(known), *known));
    let short = lower.len() <= MAX_SHOWN;
    names.min().filter(|(distance, known)| short && *distance <= known.len() / 3).map(|(_, known)| known)
}

/// Maximum length of a name in a message, in characters.
const MAX_SHOWN: usize = 40;

/// Returns a name as messages show it.
pub(crate) fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Returns the function of a name.
///
/// # Errors
/// [`TemplateProblem::Refused`] or [`TemplateProblem::UnknownFunction`].
pub(crate) fn function(name: &str) -> Result<TemplateFunction, TemplateProblem> {
    TemplateFunction::named(name).ok_or_else(|| refused(name))
}

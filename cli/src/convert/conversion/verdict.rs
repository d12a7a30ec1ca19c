//! What a provider says of a class that was made: the same parser as of `coffer check`.

use std::collections::BTreeMap;

use coffer_provider::Settings;
use coffer_provider::class::Class;
use coffer_provider::settings::TrustedAddresses;

use crate::convert::class::ConvertedClass;
use crate::convert::injection::InjectionNote;
use crate::convert::outcome::ConvertOutcome;

/// Returns the mistakes in a class, each at the annotation that it comes from.
pub(super) fn class_faults(class: &ConvertedClass, full: &dyn Fn(&str) -> String) -> Vec<InjectionNote> {
    let settings = Settings { trusted_addresses: TrustedAddresses::All, ..Settings::default() };
    let parameters: BTreeMap<String, String> = class.parameters_with_objects();
    let examined = Class::examine(&parameters, &settings);
    let mistakes = examined.findings.mistakes.into_iter();
    mistakes
        .map(|mistake| {
            let object = mistake
                .object
                .as_deref()
                .and_then(|name| class.objects.iter().find(|object| object.name == name));
            let annotation = object.map_or("agent-inject", |object| &object.annotation);
            let message = format!(
                "coffer-csi refuses class {}: parameter {}: {}",
                class.name, mistake.parameter, mistake.message
            );
            InjectionNote { annotation: full(annotation), outcome: ConvertOutcome::NeedsPerson, message }
        })
        .collect()
}

//! What the program says of itself.

use crate::program::producer;

#[test]
fn completions_of_every_shell_know_the_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = producer(&["completions", shell]);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        for word in ["serve", "key-separator", "tombstone"] {
            assert!(output.stdout.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(producer(&["completions", "command.com"]).code, Some(2));
}

#[test]
fn the_program_and_each_command_have_a_manual_page() {
    let output = producer(&["man"]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert!(output.stdout.contains(".TH producer 1"), "{}", output.stdout);
    for command in ["send", "perf", "serve", "topics", "completions", "man"] {
        assert!(output.stdout.contains(&format!("producer\\-{command}(1)")), "{command}");
        let page = producer(&["man", command]);
        assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
        assert!(page.stdout.contains(&format!(".TH producer-{command} 1")), "{}", page.stdout);
    }
    let send = producer(&["man", "send"]).stdout;
    assert!(send.contains("linger.ms=20") && send.contains("Exit status"), "{send}");
    let output = producer(&["man", "sent"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    assert!(output.stderr.contains("sent"), "{}", output.stderr);
}

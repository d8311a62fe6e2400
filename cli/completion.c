#include "completion.h"

#include <string.h>

#include <revbifpn.h>

#include "options.h"
#include "print.h"

/* Text within single quotes of a shell (a quote becomes two characters that fish and sh both read). */
static void quoted(FILE *out, const char *text) {
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\"'\"'", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

static void choices(FILE *out, const char *list) {
    for (; *list; list++) fputc(*list == '|' ? ' ' : *list, out);
}

/* Whether the value is a file, so that the shell completes one. */
static bool is_file(const cli_option *o) {
    return o->kind == CLI_TEXT &&
           (strstr(o->value, "DIR") || strstr(o->value, "FILE") || strstr(o->value, "RUN"));
}

/* Whether the value is a network: a published name, or a file. */
static bool is_network(const cli_option *o) { return !strcmp(o->name, "model") && o->kind == CLI_TEXT; }
#define NETWORKS "s0 s1 s2 s3 s4 s5 s6"

/* ---- bash ---- */

static void bash_verb(FILE *out, const cli_verb *v) {
    fprintf(out, "    %s)\n        case $previous in\n", v->name);
    for (const cli_option *o = v->options; o->name; o++) {
        if (o->kind == CLI_FLAG) continue;
        fprintf(out, "        --%s) ", o->name);
        if (o->kind == CLI_CHOICE) {
            fputs("COMPREPLY=($(compgen -W \"", out);
            choices(out, o->choices);
            fputs("\" -- \"$word\")) ;;\n", out);
        } else if (is_network(o)) {
            fputs("COMPREPLY=($(compgen -W \"" NETWORKS "\" -- \"$word\") $(compgen -f -- \"$word\")) ;;\n",
                  out);
        } else {
            fputs(is_file(o) ? "COMPREPLY=($(compgen -f -- \"$word\")) ;;\n" : "COMPREPLY=() ;;\n", out);
        }
    }
    fputs("        *) COMPREPLY=($(compgen -W \"--help", out);
    for (const cli_option *o = v->options; o->name; o++) fprintf(out, " --%s", o->name);
    fputs("\" -- \"$word\")) ;;\n        esac ;;\n", out);
}

static void bash(FILE *out) {
    fputs("# bash completion of revbifpn\n_revbifpn() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W \"",
          out);
    for (const cli_verb *v = cli_verbs; v->name; v++) fprintf(out, "%s ", v->name);
    fputs("--help --version\" -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n", out);
    for (const cli_verb *v = cli_verbs; v->name; v++) bash_verb(out, v);
    fputs("    esac\n}\ncomplete -o filenames -o default -F _revbifpn revbifpn\n", out);
}

/* ---- zsh ---- */

/* Within the brackets of _arguments: the marks that end them are taken out. */
static void zsh_text(FILE *out, const char *text) {
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
}

static void zsh_option(FILE *out, const cli_option *o) {
    fprintf(out, " \\\n            '--%s[", o->name);
    zsh_text(out, o->help);
    fputc(']', out);
    if (o->kind == CLI_CHOICE) {
        fputs(":value:(", out);
        choices(out, o->choices);
        fputc(')', out);
    } else if (is_network(o)) {
        fputs(":network:{compadd -- " NETWORKS "; _files}", out);
    } else if (o->kind != CLI_FLAG) {
        fputs(is_file(o) ? ":file:_files" : ":value: ", out);
    }
    fputc('\'', out);
}

static void zsh(FILE *out) {
    fputs("#compdef revbifpn\n_revbifpn() {\n    local -a verbs\n    verbs=(", out);
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        fprintf(out, "\n        '%s:", v->name);
        zsh_text(out, v->summary);
        fputc('\'', out);
    }
    fputs("\n        '--help:the verbs'\n        '--version:of the program')\n    if ((CURRENT == 2)); "
          "then\n        _describe verb verbs\n        return\n    fi\n"
          "    local verb=$words[2]\n    shift words\n    ((CURRENT--))\n    case $verb in\n",
          out);
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        fprintf(out, "    %s)\n        _arguments '--help[the options]'", v->name);
        for (const cli_option *o = v->options; o->name; o++) zsh_option(out, o);
        fputs(" '*:file:_files' ;;\n", out);
    }
    fputs("    esac\n}\n_revbifpn \"$@\"\n", out);
}

/* ---- fish ---- */

/* The verb is the first word and no other: a folder may be called "train". */
static void fish(FILE *out) {
    fputs("# fish completion of revbifpn\nfunction __revbifpn_verb\n    set -l words (commandline -opc)\n"
          "    test \"$words[2]\" = \"$argv[1]\"\nend\n"
          "complete -c revbifpn -n '__revbifpn_verb \"\"' -f -l help -d 'the verbs'\n"
          "complete -c revbifpn -n '__revbifpn_verb \"\"' -f -l version -d 'of the program'\n",
          out);
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        fprintf(out, "complete -c revbifpn -n '__revbifpn_verb \"\"' -f -a %s -d ", v->name);
        quoted(out, v->summary);
        fprintf(out, "\ncomplete -c revbifpn -n '__revbifpn_verb %s' -l help -d 'the options'\n", v->name);
        for (const cli_option *o = v->options; o->name; o++) {
            fprintf(out, "complete -c revbifpn -n '__revbifpn_verb %s' -l %s", v->name, o->name);
            if (is_network(o)) {
                fputs(" -r -F -a '" NETWORKS "'", out);
            } else if (o->kind == CLI_CHOICE) {
                fputs(" -x -a '", out);
                choices(out, o->choices);
                fputc('\'', out);
            } else if (o->kind != CLI_FLAG) {
                fputs(is_file(o) ? " -r -F" : " -x", out);
            }
            fputs(" -d ", out);
            quoted(out, o->help);
            fputc('\n', out);
        }
    }
}

/* ---- man ---- */

/* Text of a page: a leading dot or quote would be a request, a backslash an escape. */
static void roff(FILE *out, const char *text) {
    if (strchr(".'", *text)) fputs("\\&", out);
    for (; *text; text++)
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (!strncmp(text, "…", strlen("…"))) /* not in every terminal's letters */
            fputs("...", out), text += strlen("…") - 1;
        else
            fputc(*text, out);
}

static void man_option(FILE *out, const cli_option *o) {
    fputs(".TP\n.BI \\-\\-", out);
    roff(out, o->name);
    if (o->kind != CLI_FLAG) {
        fputs(" \" \" ", out);
        roff(out, o->value ? o->value : o->choices);
    }
    fputc('\n', out);
    roff(out, o->help);
    if (o->required || o->fallback) fprintf(out, " (%s", o->required ? "required" : "default ");
    if (!o->required && o->fallback) roff(out, o->fallback);
    fputs(o->required || o->fallback ? ")\n" : "\n", out);
}

static void man(FILE *out) {
    fprintf(out,
            ".TH REVBIFPN 1 \"\" \"revbifpn %s\" \"User Commands\"\n.SH NAME\nrevbifpn \\- train and run "
            "RevBiFPN, the fully reversible bidirectional feature pyramid network\n.SH SYNOPSIS\n"
            ".B revbifpn\n.I VERB\n[options]\n",
            revbifpn_version());
    for (const cli_verb *v = cli_verbs; v->name; v++) {
        fprintf(out, ".SH REVBIFPN %s\n", v->name);
        roff(out, v->about);
        fputc('\n', out);
        for (const cli_option *o = v->options; o->name; o++) {
            if (o->heading) fprintf(out, ".SS %s\n", o->heading);
            man_option(out, o);
        }
    }
    fputs(".SH EXIT STATUS\n", out);
    roff(out, CLI_EXIT_TEXT);
    fputs("\n.SH ENVIRONMENT\n.TP\nREVBIFPN_CPU\nKernels to use where no \\-\\-cpu is given: ref, avx2 or "
          "avx512.\n",
          out);
}

int cli_write_completion(FILE *out, const char *what) {
    static const struct {
        const char *name;
        void (*write)(FILE *out);
    } kinds[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}, {"man", man}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(what, kinds[i].name)) return kinds[i].write(out), 1;
    return 0;
}

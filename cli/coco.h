/* COCO's numbers as the command prints them. */
#ifndef REVBIFPN_CLI_COCO_H
#define REVBIFPN_CLI_COCO_H

#include <revbifpn.h>
#include <stdio.h>

/* The twelve lines of COCO's own evaluator: people compare by eye. */
void cli_coco_lines(const double *stats);
/* [AP, AP50, …] with all digits: results are compared to 1e-12. */
void cli_coco_json(FILE *out, const double *stats);
/* A class, below this head; or as a JSON object. */
#define CLI_COCO_CLASSES " category   objects         AP    AP50    AP75      AR  name\n"
void cli_coco_class(FILE *out, const revbifpn_coco_class *c);
void cli_coco_class_json(FILE *out, const revbifpn_coco_class *c);

#endif

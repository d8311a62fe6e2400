/* AutoAugment and RandAugment by timm's strings (spec 6), and colour jitter (spec 4.6): which changes a
 * picture gets. The random part ends here: a change is applied as data/change.h says, without a draw. */
#ifndef RB_DATA_POLICY_H
#define RB_DATA_POLICY_H

#include "base/rng.h"
#include "base/status.h"
#include "data/change.h"

typedef enum rb_interpolation {
    RB_INTERPOLATION_BILINEAR,
    RB_INTERPOLATION_BICUBIC,
    RB_INTERPOLATION_RANDOM /* one of the two, drawn each time */
} rb_interpolation;

/* True: bicubic. Draws only when it is random. */
bool rb_interpolation_draw(rb_interpolation interpolation, rb_rng *rng);

enum { RB_POLICY_LAYERS = 16, RB_POLICY_CHOICES = 15, RB_POLICY_PAIRS = 25 };

/* An operation of an AutoAugment pair. */
typedef struct rb_policy_step {
    rb_level_kind kind;
    double probability, magnitude;
} rb_policy_step;

/* Zeroed: no policy, no changes. */
typedef struct rb_policy {
    int layers; /* RandAugment: operations for each picture, at most RB_POLICY_LAYERS; 0 otherwise */
    const rb_level_kind *choices; /* RB_POLICY_CHOICES, of which RandAugment draws */
    const double *weights;        /* of these; with them none is drawn twice for a picture. NULL: all alike */
    double probability, magnitude;
    const rb_policy_step (*pairs)[2]; /* AutoAugment: RB_POLICY_PAIRS, of which one is drawn; else NULL */
    double deviation; /* of the normal noise on magnitudes; INFINITY: uniform from 0 up to the magnitude */
    double largest;   /* magnitudes are cut to 0 … largest */
} rb_policy;

/* Reads `text`:
 *   rand[-mM][-nN][-mstdX][-mmaxM][-incB][-pP][-tweights|-w0]   RandAugment
 *   v0 | v0r | original | originalr, each with [-mstdX]         AutoAugment
 * An empty text is no policy. Differences from timm: unknown, repeated and incomplete sections are refused,
 * and so is inc0, which versions of timm read in opposite ways. BAD_ARGUMENT naming the section. */
revbifpn_status rb_policy_parse(rb_policy *policy, const char *text, rb_error *err) RB_CHECKED;

/* Draws the changes of one picture, at most RB_POLICY_LAYERS, and returns how many. For each: which
 * operation, whether it happens (a draw only if its probability is below 1), the noise of the magnitude, the
 * sign, the filter; each only where there is a choice. */
int rb_policy_draw(const rb_policy *policy, rb_interpolation interpolation, rb_rng *rng,
                   rb_change changes[RB_POLICY_LAYERS]);

/* Colour jitter: brightness, contrast and saturation by factors from max(0, 1 − j) … 1 + j, hue by a shift
 * from −j … j; 0: not at all. */
enum { RB_JITTERS = 4 };
typedef struct rb_jitter {
    double amount[RB_JITTERS]; /* brightness, contrast, saturation, hue */
} rb_jitter;

/* One number for the first three, or three or four separated by commas; an empty text is none. BAD_ARGUMENT.
 */
revbifpn_status rb_jitter_parse(rb_jitter *jitter, const char *text, rb_error *err) RB_CHECKED;
/* Their order is drawn first, then the amounts that are not 0. Returns how many changes. */
int rb_jitter_draw(const rb_jitter *jitter, rb_rng *rng, rb_change changes[RB_JITTERS]);

/* policy_tables.c */
extern const rb_level_kind rb_rand_choices[RB_POLICY_CHOICES], rb_rand_increasing[RB_POLICY_CHOICES];
extern const double rb_rand_weights[RB_POLICY_CHOICES]; /* of rb_rand_increasing: -tweights */
extern const double rb_rand_w0[RB_POLICY_CHOICES];      /* of rb_rand_choices: -w0 */
typedef struct rb_auto_policy {
    const char *name;
    rb_policy_step pairs[RB_POLICY_PAIRS][2];
} rb_auto_policy;
extern const rb_auto_policy rb_auto_policies[4];

#endif

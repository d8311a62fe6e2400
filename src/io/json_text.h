/* Texts that jansson has allocated. */
#ifndef RB_IO_JSON_TEXT_H
#define RB_IO_JSON_TEXT_H

/* Frees what json_dumps() gave, or NULL: by jansson's function, which the program may have replaced. */
void rb_json_free(char *text);

#endif

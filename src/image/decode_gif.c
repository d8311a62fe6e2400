/* GIF through giflib: the first frame, composed on its canvas as Pillow does. Nothing after the first image
 * record is read, so the length of an animation costs nothing. */
#include <string.h>
#include <gif_lib.h>

#include "base/memory.h"
#include "image/formats.h"

typedef struct reader {
    rb_decode_job *job;
    GifFileType *gif;
    size_t at;       /* bytes handed to giflib so far */
    int transparent; /* palette index of the frame's transparent colour, or -1 */
} reader;

static int read_bytes(GifFileType *gif, GifByteType *bytes, int size) {
    reader *r = gif->UserData;
    size_t left = r->job->size - r->at, count = (size_t)size < left ? (size_t)size : left;
    memcpy(bytes, r->job->bytes + r->at, count);
    r->at += count;
    return (int)count;
}

static revbifpn_status gif_failed(reader *r, int code) {
    const char *reason = GifErrorString(code);
    revbifpn_status status = code == D_GIF_ERR_NOT_ENOUGH_MEM ? REVBIFPN_OUT_OF_MEMORY : REVBIFPN_BAD_FILE;
    return rb_decode_fail(r->job, status, reason ? reason : "the file is damaged");
}

/* Reads an extension block; of the graphics control block the transparent index is kept. */
static bool skip_extension(reader *r) {
    enum { GRAPHICS_CONTROL = 0xf9 };
    int code;
    GifByteType *block;
    if (DGifGetExtension(r->gif, &code, &block) == GIF_ERROR) return false;
    if (code == GRAPHICS_CONTROL && block && block[0] >= 4) r->transparent = block[1] & 1 ? block[4] : -1;
    while (block)
        if (DGifGetExtensionNext(r->gif, &block) == GIF_ERROR) return false;
    return true;
}

/* The canvas: the screen, made larger where the frame passes it. Sizes and offsets have 16 bits each. */
static void canvas_size(const GifFileType *gif, uint64_t *width, uint64_t *height) {
    int right = gif->Image.Left + gif->Image.Width, bottom = gif->Image.Top + gif->Image.Height;
    *width = (uint64_t)(gif->SWidth > right ? gif->SWidth : right);
    *height = (uint64_t)(gif->SHeight > bottom ? gif->SHeight : bottom);
}

static revbifpn_status open_frame(reader *r) {
    bool opened = DGifGetImageDesc(r->gif) != GIF_ERROR;
    uint64_t width, height;
    canvas_size(r->gif, &width, &height);
    revbifpn_status status = rb_decode_check_size(r->job, width, height);
    if (status) return status;
    if (!opened) return gif_failed(r, r->gif->Error);
    if (r->gif->Image.Width > 0 && r->gif->Image.Height > 0) return REVBIFPN_OK;
    return rb_decode_fail(r->job, REVBIFPN_BAD_FILE, "an empty frame");
}

static revbifpn_status find_first_image(reader *r) {
    for (;;) {
        GifRecordType type;
        if (DGifGetRecordType(r->gif, &type) == GIF_ERROR) return gif_failed(r, r->gif->Error);
        if (type == IMAGE_DESC_RECORD_TYPE) return open_frame(r);
        if (type != EXTENSION_RECORD_TYPE)
            return rb_decode_fail(r->job, REVBIFPN_BAD_FILE, "no image in the file");
        if (!skip_extension(r)) return gif_failed(r, r->gif->Error);
    }
}

/* RGB of every index; without any palette the index is a grey value, and past its end black. */
static void make_palette(const GifFileType *gif, uint8_t palette[256][3]) {
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    for (int i = 0; i < 256; i++) {
        GifColorType c = {(GifByteType)i, (GifByteType)i, (GifByteType)i};
        if (map) c = i < map->ColorCount ? map->Colors[i] : (GifColorType){0, 0, 0};
        palette[i][0] = c.Red;
        palette[i][1] = c.Green;
        palette[i][2] = c.Blue;
    }
}

static void fill(rb_image *image, const uint8_t colour[3]) {
    size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) memcpy(image->pixels + i * 3, colour, 3);
}

/* Row of the frame that the i-th stored row is. */
static int interlaced_row(int i, int height) {
    static const int start[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    for (int pass = 0; pass < 4; pass++) {
        int rows = height > start[pass] ? (height - start[pass] + step[pass] - 1) / step[pass] : 0;
        if (i < rows) return start[pass] + i * step[pass];
        i -= rows;
    }
    return height - 1;
}

/* Returns how many of the frame's rows came. */
static int read_rows(reader *r, uint8_t palette[256][3], GifPixelType *line) {
    const GifImageDesc *frame = &r->gif->Image;
    rb_image *image = r->job->image;
    for (int i = 0; i < frame->Height; i++) {
        if (DGifGetLine(r->gif, line, frame->Width) == GIF_ERROR) return i;
        int y = frame->Top + (frame->Interlace ? interlaced_row(i, frame->Height) : i);
        uint8_t *row = image->pixels + ((size_t)y * (size_t)image->width + (size_t)frame->Left) * 3;
        for (int x = 0; x < frame->Width; x++) memcpy(row + (size_t)x * 3, palette[line[x]], 3);
    }
    return frame->Height;
}

static revbifpn_status read_first_frame(reader *r) {
    rb_decode_job *job = r->job;
    revbifpn_status status = find_first_image(r);
    if (status) return status;
    const GifImageDesc *frame = &r->gif->Image;
    uint64_t width, height;
    canvas_size(r->gif, &width, &height);
    status = rb_decode_begin(job, width, height);
    if (status) return status;
    uint8_t palette[256][3];
    make_palette(r->gif, palette);
    fill(job->image, palette[r->transparent >= 0 ? r->transparent : 0]);
    GifPixelType *line = rb_alloc((size_t)frame->Width);
    if (!line) return rb_decode_fail(job, REVBIFPN_OUT_OF_MEMORY, "out of memory");
    int rows = read_rows(r, palette, line);
    rb_free(line);
    job->info.damaged = rows < frame->Height;
    return rows ? REVBIFPN_OK : gif_failed(r, r->gif->Error);
}

revbifpn_status rb_decode_gif(rb_decode_job *job) {
    int error = 0;
    reader r = {.job = job, .transparent = -1};
    r.gif = DGifOpen(&r, read_bytes, &error);
    if (!r.gif) return gif_failed(&r, error);
    revbifpn_status status = read_first_frame(&r);
    (void)DGifCloseFile(r.gif, NULL);
    return status;
}

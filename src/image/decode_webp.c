/* WebP through libwebp; of an animation the first frame on its canvas. */
#include <webp/decode.h>
#include <webp/demux.h>

#include "image/formats.h"

/* Decodes the frame into its place on the canvas: no copy of the pixels in between. */
static revbifpn_status read_frame(rb_decode_job *job, const WebPIterator *frame) {
    WebPDecoderConfig config;
    rb_image *image = job->image;
    if (!WebPInitDecoderConfig(&config))
        return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "another libwebp is installed");
    if (WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input) != VP8_STATUS_OK)
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the frame's header is wrong");
    int x = frame->x_offset, y = frame->y_offset, width = config.input.width, height = config.input.height;
    if (x < 0 || y < 0 || width > image->width - x || height > image->height - y)
        return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the frame lies outside the canvas");
    size_t stride = (size_t)image->width * 3, offset = (size_t)y * stride + (size_t)x * 3;
    if (stride > INT32_MAX) return rb_decode_fail(job, REVBIFPN_UNSUPPORTED, "too wide");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels + offset;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * (size_t)image->height - offset;
    VP8StatusCode code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OK) return REVBIFPN_OK;
    if (code == VP8_STATUS_OUT_OF_MEMORY) return rb_decode_fail(job, REVBIFPN_OUT_OF_MEMORY, "out of memory");
    return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the pixel data is damaged or cut off");
}

static void find_orientation(rb_decode_job *job, const WebPDemuxer *demuxer) {
    WebPChunkIterator chunk;
    if (!WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) return;
    const uint8_t *bytes = chunk.chunk.bytes;
    size_t size = chunk.chunk.size;
    bool prefixed = size >= 6 && bytes[0] == 'E' && bytes[1] == 'x'; /* some writers keep JPEG's "Exif\0\0" */
    job->info.orientation =
        prefixed ? rb_exif_orientation(bytes + 6, size - 6) : rb_exif_orientation(bytes, size);
    WebPDemuxReleaseChunkIterator(&chunk);
}

revbifpn_status rb_decode_webp(rb_decode_job *job) {
    revbifpn_status status;
    WebPIterator frame = {0};
    WebPData data = {.bytes = job->bytes, .size = job->size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer) return rb_decode_fail(job, REVBIFPN_BAD_FILE, "the file is damaged or cut off");
    find_orientation(job, demuxer);
    TRY(rb_decode_begin(job, WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                        WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT)));
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) {
        status = rb_decode_fail(job, REVBIFPN_BAD_FILE, "no frame");
        goto fail;
    }
    TRY(read_frame(job, &frame));
fail:
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return status;
}

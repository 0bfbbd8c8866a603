// All of cotenant that needs no GPU and no browser. No guard of its own: every header below guards itself.
// A header that another one here includes anyway is not listed.
#include "cotenant/files/checkpoint.hpp"
#include "cotenant/files/npy.hpp"
#include "cotenant/files/store_spill.hpp"
#include "cotenant/ops/best_backend.hpp"
#include "cotenant/reference/reference.hpp"
#include "cotenant/share/events_export.hpp"
#include "cotenant/share/report_html.hpp"
#include "cotenant/share/report_json.hpp"
#include "cotenant/cpu/cpu.hpp"
#include "cotenant/models/random_checkpoint.hpp"
#include "cotenant/models/text_encoder.hpp"

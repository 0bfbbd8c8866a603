// The encoder behind C functions: open, forward, close. bench/models/models.py calls them turn by turn with ONNX Runtime.
#include "bench/models/encoder.hpp"
#include "bench/own_threads.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string>

namespace ct = cotenant;

namespace {

struct Mode {
  const char* name;
  std::unique_ptr<bench::AnyEncoder> (*open)(const std::filesystem::path& folder);
};
constexpr Mode modes[] = {{"f32", bench::open_f32}, {"bf16", bench::open_bf16}, {"int8", bench::open_int8}};

// What a C caller sees of an exception: a line on the standard error and a null or a 0.
template <class Result, class F> Result guarded(const F& f) {
  try {
    return f();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cotenant: %s\n", error.what());
    return Result{};
  }
}

}  // namespace

extern "C" {

// Which modes open_encoder() takes, separated by commas.
const char* encoder_precisions() {
  static const std::string names = [] {
    std::string text;
    for (const Mode& mode : modes) text += (text.empty() ? "" : ",") + std::string(mode.name);
    return text;
  }();
  return names.c_str();
}

// Null where the folder holds no encoder or the precision is none of ours.
void* open_encoder(const char* folder, const char* precision) {
  return guarded<void*>([&]() -> void* {
    for (const Mode& mode : modes)
      if (std::string(precision) == mode.name) return mode.open(folder).release();
    ct::raise<ct::InvalidArgument>(std::string("no encoder computes in '") + precision + "'");
  });
}

// Writes the hidden states [batch, length, hidden] of ids and mask [batch, length] into out. 1 where it went well.
int encoder_forward(void* model, const std::int32_t* ids, const std::int32_t* mask, std::size_t batch, std::size_t length, float* out) {
  return guarded<int>([&] {
    const auto view = [&](const std::int32_t* data) { return ct::View<const std::int32_t>(std::span(data, batch * length), ct::Shape{batch, length}); };
    const auto hidden = static_cast<bench::AnyEncoder*>(model)->forward(ct::TokenViews(view(ids), view(mask)));
    const auto values = hidden.view().span();
    std::copy(values.begin(), values.end(), out);
    return 1;
  });
}

void close_encoder(void* model) { delete static_cast<bench::AnyEncoder*>(model); }

// Threads of every encoder from now on.
void set_threads(std::size_t threads) {
  static bench::OwnThreads own;
  own.set(threads);
}

// A checkpoint of BERT-base's sizes with random weights: its cost is that of the real one. 1 where it went well.
int write_bert_base(const char* folder) {
  return guarded<int>([&] {
    ct::EncoderConfig config = ct::minilm_config();
    config.hidden_size = 768;
    config.layers = 12;
    config.intermediate_size = 3072;
    ct::write_random_checkpoint(folder, config);
    return 1;
  });
}

}  // extern "C"

// One encoder of any precision behind a virtual function, so that each precision compiles in a file of its own.
#ifndef COTENANT_BENCH_MODELS_ENCODER_HPP
#define COTENANT_BENCH_MODELS_ENCODER_HPP
#include <cotenant/cotenant.hpp>

#include <filesystem>
#include <memory>
#include <utility>

namespace bench {

class AnyEncoder {
 public:
  virtual ~AnyEncoder() = default;
  virtual cotenant::SharedTensor<float> forward(const cotenant::TokenViews& tokens) const = 0;
};

template <class Precision> class EncoderIn final : public AnyEncoder {
 public:
  explicit EncoderIn(const std::filesystem::path& folder) : encoder_(cotenant::Encoder<float, cotenant::Mapped, Precision>::open(folder)) {}
  cotenant::SharedTensor<float> forward(const cotenant::TokenViews& tokens) const override { return encoder_.forward(tokens).last_hidden_state; }

 private:
  cotenant::Encoder<float, cotenant::Mapped, Precision> encoder_;
};

std::unique_ptr<AnyEncoder> open_f32(const std::filesystem::path& folder);
std::unique_ptr<AnyEncoder> open_bf16(const std::filesystem::path& folder);
std::unique_ptr<AnyEncoder> open_int8(const std::filesystem::path& folder);

}  // namespace bench

#endif

// check_golden: runs checkpoints on recorded inputs and compares every output with the recorded one.
//   check_golden DIR... [--tolerance 1e-4]
// Each DIR holds config.json, model.safetensors and golden.safetensors (inputs in.*, outputs out.*). Exits 0 where every
// output of every DIR is within the tolerance, 1 where one is not, 2 where one could not be run.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <cotenant/cotenant.hpp>

namespace ct = cotenant;

namespace {

// What the encoder gives under the name of an output; an empty handle for a name that no encoder gives.
template <class W>
ct::SharedTensor<float> produce(std::string_view name, const ct::Encoder<W>& encoder, const ct::EncoderOutput<ct::Heap>& output, const ct::TokenViews& tokens) {
  if (name == "last_hidden_state") return output.last_hidden_state;
  if (name == "pooler_output") return output.pooler_output;
  if (name == "mean_pooled_normalized") return encoder.mean_pooled_normalized(output.last_hidden_state, tokens);
  constexpr std::string_view hidden = "hidden.";
  if (name.substr(0, hidden.size()) == hidden)
    for (std::size_t i = 0; i < output.hidden_states.size(); ++i)
      if (name.substr(hidden.size()) == std::to_string(i)) return output.hidden_states[i];
  return {};
}

// The largest |ours - expected|; NaN where either is one.
double largest_error(const ct::SharedTensor<float>& ours, const ct::SharedTensor<float, ct::Mapped>& expected) {
  const auto a = ours.view().span(), b = expected.view().span();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(error <= largest)) largest = error;
    if (std::isnan(error)) break;
  }
  return largest;
}

template <class W> bool check(const std::string& folder, const ct::Checkpoint& checkpoint, double tolerance) {
  const auto encoder = ct::Encoder<W>::open(checkpoint);
  const auto golden = ct::SafetensorsFile::open(folder + "/golden.safetensors");
  ct::SharedTensor<std::int32_t, ct::Mapped> ids = golden.tensor<std::int32_t>("in.input_ids"), mask, types;
  std::vector<std::string> outputs;
  for (const std::string_view name : golden.names()) {
    if (name == "in.attention_mask") mask = golden.tensor<std::int32_t>(name);
    else if (name == "in.token_type_ids") types = golden.tensor<std::int32_t>(name);
    else if (name.substr(0, 3) == "in." && name != "in.input_ids")
      ct::raise<ct::Unsupported>("'" + golden.path() + "' has the input '" + std::string(name) + "', which an encoder does not take");
    else if (name.substr(0, 4) == "out.") outputs.emplace_back(name.substr(4));
  }
  if (outputs.empty()) ct::raise<ct::BadFile>("'" + golden.path() + "' has no output out.* to compare with");

  const ct::TokenViews tokens(ids.view(), mask.view(), types.view());
  const auto output = encoder.forward(tokens, {.hidden_states = true, .pooler = golden.contains("out.pooler_output")});
  bool passed = true;
  for (const std::string& name : outputs) {
    const auto ours = produce(name, encoder, output, tokens);
    const auto expected = golden.tensor<float>("out." + name);
    if (!ours)
      ct::raise<ct::Unsupported>("'" + golden.path() + "' has the output 'out." + name + "', which this encoder of " + std::to_string(encoder.config().layers) +
                                 " layers does not give");
    if (!(ours.shape() == expected.shape()))
      ct::raise<ct::ShapeError>("'out." + name + "' has shape " + to_string(expected.shape()) + ", but the encoder gives " + to_string(ours.shape()));
    const double error = largest_error(ours, expected);
    const bool within = error <= tolerance;
    std::printf("  %-28s %-14s largest absolute error %.3g%s\n", ("out." + name).c_str(), to_string(ours.shape()).c_str(), error,
                within ? "" : "   ABOVE TOLERANCE");
    passed = passed && within;
  }
  return passed;
}

bool check(const std::string& folder, double tolerance) {
  const auto config = ct::EncoderConfig::read(folder);
  const auto checkpoint = ct::Checkpoint::open(folder);
  const ct::DType dtype = ct::encoder_dtype(checkpoint);
  std::printf("%s: %s, %zu layers, hidden size %zu, %zu heads, weights in %s\n", folder.c_str(), config.model_type.c_str(), config.layers, config.hidden_size,
              config.heads, std::string(ct::to_string(dtype)).c_str());
  if (dtype == ct::DType::bf16) return check<ct::bf16>(folder, checkpoint, tolerance);
  if (dtype == ct::DType::f16) return check<ct::f16>(folder, checkpoint, tolerance);
  return check<float>(folder, checkpoint, tolerance);
}

}  // namespace

int main(int count, char** arguments) {
  const char* const usage = "usage: check_golden DIR... [--tolerance 1e-4]\n";
  double tolerance = 1e-4;
  std::vector<std::string> folders;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--tolerance") {
      char* end = nullptr;
      tolerance = i + 1 < count ? std::strtod(arguments[++i], &end) : -1;
      if (end == nullptr || *end != '\0' || !(tolerance >= 0)) return std::fputs("--tolerance needs a number of at least 0\n", stderr), 2;
    } else if (argument == "--help") {
      return std::fputs(usage, stdout), 0;
    } else if (argument.substr(0, 1) == "-") {
      return std::fprintf(stderr, "unknown option '%s'\n%s", argument.c_str(), usage), 2;
    } else {
      folders.push_back(argument);
    }
  }
  if (folders.empty()) return std::fputs(usage, stderr), 2;

  int status = 0;
  for (const std::string& folder : folders) {
    try {
      if (!check(folder, tolerance) && status == 0) status = 1;
    } catch (const ct::Error& error) {
      std::fflush(stdout);
      std::fprintf(stderr, "%s: %s\n", folder.c_str(), error.what());
      status = 2;
    }
  }
  std::puts(status == 0   ? "all outputs are within the tolerance"
            : status == 1 ? "some outputs are not within the tolerance"
                          : "some directories could not be checked");
  return status;
}

// One of two programs on the same weights: this one runs the encoder on tensors that share_weights holds. It opens no checkpoint.
//   share_weights                  runs both
//   attach_weights PATH [TEXT...]  where a share_weights --socket PATH runs already
#include <cotenant/cpu/cpu.hpp>
#include <cotenant/ipc/attached_tensors.hpp>
#include <cotenant/models/encoder.hpp>
#include <cotenant/models/wordpiece_files.hpp>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace ct = cotenant;

static double milliseconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

// This process's memory in MiB, by kind, as the system counts it.
static std::map<std::string, double> memory() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::map<std::string, double> kinds;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key;
    double kibibytes = 0;
    if (words >> key >> kibibytes) kinds[key.substr(0, key.size() - 1)] = kibibytes / 1024;
  }
  return kinds;
}

static std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

static int run(int argc, char** argv) {
  if (argc < 2) {
    std::puts("usage: attach_weights PATH [TEXT...]   where `share_weights --socket PATH` runs; share_weights alone runs both");
    return 0;
  }
  const std::map<std::string, double> before = memory();
  const auto begin = std::chrono::steady_clock::now();
  // Products read the weights where they are, instead of keeping a copy in the kernels' order: slower, but no memory of its own.
  const ct::AttachedTensors attached = ct::attach(argv[1], {.model = "attach_weights", .keep_packed = false});
  const double attach_time = milliseconds_since(begin);

  const ct::json::Value config_text = ct::json::parse(attached.metadata().at("config.json"), "config.json");
  const ct::EncoderConfig config = ct::EncoderConfig::from(ct::json::Field(config_text, "config.json"));
  const ct::Encoder<float, ct::SharedMemory> encoder(config, ct::read_encoder_weights<float>(attached, config));
  const ct::WordPiece tokenizer(lines_of(attached.metadata().at("vocab.txt")), {});
  const double open_time = milliseconds_since(begin);

  std::vector<std::string> texts(argv + 2, argv + argc);
  if (texts.empty()) texts = {"Two programs run on the same weights, and neither of them copies any."};
  const auto embed = [&](const std::string& text) {
    const std::vector<ct::Encoding> one{tokenizer.encode(text, config.max_length())};
    return encoder.encode(tokenizer.pad(one));
  };
  for (const std::string& text : texts) {
    const auto embedding = embed(text);
    std::printf("\"%s\"\n  %zu numbers: %.4f %.4f %.4f ...\n", text.c_str(), embedding.size(), static_cast<double>(embedding.view()(0, 0)),
                static_cast<double>(embedding.view()(0, 1)), static_cast<double>(embedding.view()(0, 2)));
  }

  std::size_t weight_bytes = 0;
  for (const ct::ArenaTensor& tensor : attached.tensors()) weight_bytes += tensor.bytes();
  const double mebibytes = static_cast<double>(weight_bytes) / (1 << 20);
  std::printf("attached %zu tensors, %.1f MiB, in %.2f ms; model ready after %.2f ms\n", attached.tensors().size(), mebibytes, attach_time, open_time);
  std::map<std::string, double> after = memory();
  if (after.empty()) return 0;
  std::printf("memory of this process, MiB     before   after\n");
  const auto row = [&](const char* title, const char* key) {
    const auto then = before.find(key);
    std::printf("  %-28s %8.1f %7.1f\n", title, then == before.end() ? 0 : then->second, after[key]);
  };
  row("resident", "Rss");
  row("anonymous: its own alone", "Anonymous");
  row("proportional share", "Pss");
  row("shared with others, clean", "Shared_Clean");
  row("shared with others, dirty", "Shared_Dirty");
  row("private, clean", "Private_Clean");
  row("private, dirty", "Private_Dirty");
  return 0;
}

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "attach_weights: %s\n", error.what());
    return 1;
  }
}

// Opening checkpoints with a manager: what is new, what equals another one, what was compared before.
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "cotenant/files/checkpoint.hpp"
#include "cotenant/files/safetensors_writer.hpp"
#include "rows.hpp"

namespace ct = cotenant;

namespace {
constexpr std::size_t tensors = 100, rows = 225, columns = 1000;  // of float: 90 MB

void make(const std::filesystem::path& folder, std::uint32_t seed) {
  if (std::filesystem::exists(folder / "model.safetensors")) return;
  std::filesystem::create_directories(folder);
  ct::SafetensorsWriter writer;
  for (std::size_t i = 0; i < tensors; ++i) {
    auto tensor = ct::empty<float>({rows, columns});
    std::uint32_t state = seed + static_cast<std::uint32_t>(i);
    for (float& value : tensor.mutable_view().span()) value = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8);
    writer.add("layer." + std::to_string(i) + ".weight", tensor);
  }
  writer.write(folder / "model.safetensors");
}
// 200 tensors of 25 MB without a byte on the disk but the header's.
void make_sparse(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "model.safetensors")) return;
  std::filesystem::create_directories(folder);
  constexpr std::size_t count = 200, bytes = 25'000'000;
  ct::JsonWriter json;
  json.begin_object();
  for (std::size_t i = 0; i < count; ++i) {
    json.key("layer." + std::to_string(i) + ".weight").begin_object().member("dtype", "F32").key("shape").begin_array().value(2500).value(2500).end_array();
    json.key("data_offsets").begin_array().value(i * bytes).value((i + 1) * bytes).end_array().end_object();
  }
  std::string header = json.end_object().take();
  header.resize((header.size() + 8 + 63) / 64 * 64 - 8, ' ');
  std::string length;
  for (int i = 0; i < 8; ++i) length.push_back(static_cast<char>(static_cast<unsigned char>(header.size() >> (8 * i))));
  std::ofstream(folder / "model.safetensors", std::ios::binary) << length << header;
  std::filesystem::resize_file(folder / "model.safetensors", 8 + header.size() + count * bytes);
}

// Opens `before` untimed, then `timed`; both with a manager of their own that is gone afterwards.
double open_after(const std::vector<std::filesystem::path>& before, const std::filesystem::path& timed, std::size_t expected) {
  ct::TensorSharingManager manager;
  std::vector<ct::Checkpoint> open;
  for (const std::filesystem::path& folder : before) open.push_back(ct::Checkpoint::open(folder, manager, "before" + std::to_string(open.size())));
  const double seconds = bench_sharing::seconds_of([&] { open.push_back(ct::Checkpoint::open(timed, manager, "timed")); });
  if (manager.stats().deduplicated != expected)
    ct::raise<ct::InvalidArgument>("opening found " + std::to_string(manager.stats().deduplicated) + " equal tensors, not " + std::to_string(expected));
  return seconds;
}
// A model of 80 tensors that others share and 20 of its own of half their size: 11 % of its bytes.
void make_related(const std::filesystem::path& folder, std::uint32_t which) {
  if (std::filesystem::exists(folder / "model.safetensors")) return;
  std::filesystem::create_directories(folder);
  ct::SafetensorsWriter writer;
  for (std::size_t i = 0; i < tensors; ++i) {
    const bool own = i >= tensors * 4 / 5;
    auto tensor = ct::empty<float>({own ? rows / 2 : rows, columns});
    std::uint32_t state = static_cast<std::uint32_t>(i) + (own ? which * 1000 : 0);
    for (float& value : tensor.mutable_view().span()) value = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8);
    writer.add("layer." + std::to_string(i) + ".weight", tensor);
  }
  writer.write(folder / "model.safetensors");
}
// What this process has in memory, by the system's word: it is a process of its own that opens the checkpoints and reads every element.
double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}
double bytes_of(const std::vector<std::filesystem::path>& folders, bool shared) {
  int ends[2];
  if (::pipe(ends) != 0) ct::raise<ct::IoError>("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    const double before = resident_bytes();
    ct::TensorSharingManager manager{{.deduplicate = shared}};
    std::vector<ct::Checkpoint> open;
    float sum = 0;
    for (const std::filesystem::path& folder : folders) open.push_back(ct::Checkpoint::open(folder, manager));
    for (const ct::Checkpoint& one : open)
      for (const std::string_view name : one.names())
        for (const float value : one.lease<float>(name, "reader")->view().span()) sum += value;
    bench_sharing::keep(sum);
    const double bytes = resident_bytes() - before;
    ::_exit(::write(ends[1], &bytes, sizeof bytes) == static_cast<ssize_t>(sizeof bytes) ? 0 : 1);
  }
  ::close(ends[1]);
  double bytes = 0;
  const bool read = ::read(ends[0], &bytes, sizeof bytes) == static_cast<ssize_t>(sizeof bytes);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!read || status != 0) ct::raise<ct::IoError>("the process that opens checkpoints failed");
  return bytes;
}

// What a comparison must at least do: both files in memory, every byte of them read.
double compare(const std::filesystem::path& a, const std::filesystem::path& b) {
  return bench_sharing::seconds_of([&] {
    const ct::BlockRef one = ct::Block::adopt(ct::Mapped{}, ct::Mapped::map(a / "model.safetensors")),
                       two = ct::Block::adopt(ct::Mapped{}, ct::Mapped::map(b / "model.safetensors"));
    if (std::memcmp(one->data(), two->data(), one->bytes()) != 0) ct::raise<ct::InvalidArgument>("two copies of a file differ");
  });
}
}  // namespace

void bench_sharing::opening(const Setting& setting) {
  const std::filesystem::path first = checkpoint_of_90_megabytes(setting), copy = setting.folder / "copy", other = setting.folder / "other",
                              large = checkpoint_of_5_gigabytes(setting);
  make(first, 1);
  make(copy, 1);
  make(other, 1000);
  make_sparse(large);
  const auto row = [](std::string shape, double limit = 0) {
    Row result{"opening", std::move(shape), "ms"};
    result.limit = limit;
    return result;
  };
  measure(row("90 MB, 100 tensors", 1e-3), setting, {{"cotenant", [&] { return open_after({}, first, 0); }}});
  measure(row("5 GB (sparse), 200 tensors", 20e-3), setting, {{"cotenant", [&] { return open_after({}, large, 0); }}});
  measure(row("90 MB, of the shapes of another one"), setting, {{"cotenant", [&] { return open_after({first}, other, 0); }}});
  measure(row("90 MB, the same file under another name"), setting, {{"cotenant", [&] { return open_after({first}, first, tensors); }}});
  Row equal = row("90 MB, a copy, compared byte by byte");
  equal.note = "once per process and file";
  measure(equal, setting,
          {{"cotenant",
            [&] {
              // As if it had been written anew: what is known of it does not count any more.
              std::filesystem::last_write_time(copy / "model.safetensors", std::filesystem::file_time_type::clock::now());
              return open_after({first}, copy, tensors);
            }},
           {"mmap + memcmp", [&] { return compare(first, copy); }}},
          std::min(setting.rounds, 11));
  measure(row("90 MB, a copy that was compared before"), setting, {{"cotenant", [&] { return open_after({first}, copy, tensors); }}});

  std::vector<std::filesystem::path> three;
  for (std::uint32_t which = 0; which < 3; ++which) make_related(three.emplace_back(setting.folder / ("related" + std::to_string(which))), which);
  Row memory{"opening", "memory of three that share 80 of 100 tensors", "MiB"};
  memory.target_ratio = 1 / 1.25;
  memory.target_peers = {"one alone"};
  memory.note = "resident, every element read";
  measure(memory, setting,
          {{"cotenant", [&] { return bytes_of(three, true); }},
           {"one alone", [&] { return bytes_of({three[0]}, true); }},
           {"cotenant, switched off", [&] { return bytes_of(three, false); }}},
          1);
}

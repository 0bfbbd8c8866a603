// A second process that attaches to a model: started anew each time, and timed by itself from its first call to its last tensor.
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <unistd.h>

#include "cotenant/files/checkpoint.hpp"
#include "cotenant/ipc/tensor_exporter.hpp"
#include "rows.hpp"

namespace ct = cotenant;

int bench_sharing::attach(const char* socket) {
  float sum = 0;
  std::optional<ct::AttachedTensors> attached;  // letting go of them is not timed
  const double seconds = seconds_of([&] {
    attached = ct::attach(socket, {.model = "bench"});
    for (const std::string_view name : attached->names()) sum += attached->tensor<float>(name).view()(0, 0);
  });
  std::printf("%.9f %g\n", seconds, static_cast<double>(sum));
  return 0;
}

void bench_sharing::attaching(const Setting& setting) {
#if defined(__linux__)
  const ct::Checkpoint checkpoint = ct::Checkpoint::open(checkpoint_of_90_megabytes(setting));
  std::vector<ct::NamedTensor> tensors;
  for (const std::string_view name : checkpoint.names()) tensors.emplace_back(std::string(name), checkpoint.tensor<float>(name));
  const std::filesystem::path socket = std::filesystem::temp_directory_path() / ("cotenant-bench-" + std::to_string(::getpid()));
  const std::string command = "'" + std::filesystem::read_symlink("/proc/self/exe").string() + "' --attach '" + socket.string() + "'";
  const auto attach_once = [&] {
    double seconds = -1;
    std::FILE* const other = ::popen(command.c_str(), "r");
    if (other == nullptr || std::fscanf(other, "%lf", &seconds) != 1) ct::raise<ct::IoError>("the process that should attach did not");
    if (::pclose(other) != 0) ct::raise<ct::IoError>("the process that should attach failed");
    return seconds;
  };
  for (const bool copied : {false, true}) {
    const ct::TensorExporter exporter = ct::export_tensors(tensors, socket, {.file_tensors = copied ? ct::FileTensors::copy : ct::FileTensors::pass_on});
    Row row{"attaching", copied ? "90 MB, 100 tensors in sealed memory" : "90 MB, 100 tensors in a file", "ms"};
    row.limit = 2e-3;
    row.note = "one element of each read";
    measure(row, setting, {{"cotenant", attach_once}});
  }
#else
  static_cast<void>(setting);
#endif
}

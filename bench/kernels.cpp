// Measures every kernel beside the libraries that are installed and beside the bounds of the machine; one line of JSON per row on
// the standard output, progress on the other. bench/run.sh makes the table of it.
// Usage: kernels [--threads 1,2] [--quick] [--smoke] [--only matmul,softmax,...]
#include "bench/kernels/kernels.hpp"

#include <exception>
#include <fstream>

#include "bench/machine.hpp"

namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

#if defined(__clang__)
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif

}  // namespace

int main(int count, char** arguments) try {
  bench::Bench bench(bench::read_options(count, arguments));
  const auto capabilities = cotenant::Cpu::capabilities();
  bench::write_machine(cpu_model() + "; " + to_string(capabilities), compiler, bench::machine_rates(bench.options, capabilities.level3_cache));
  bench::products(bench);
  bench::low_precision(bench);
  bench::rows(bench);
  bench::calls(bench);
  return bench.failures() == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}

// Measures what sharing costs: handles and leases, opening checkpoints, bringing tensors back, attaching to another process.
//   sharing FOLDER [--quick]     rows as lines of JSON; FOLDER gets some 500 MB of files, which are left there for the Python peers
// bench/run.sh --only sharing runs it, adds what Python's PyTorch and safetensors take, and makes the table.
#include <cstdio>
#include <exception>
#include <string_view>
#include <thread>

#include "sharing/rows.hpp"

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--attach") return bench_sharing::attach(argv[2]);
  if (argc < 2) {
    std::fprintf(stderr, "usage: sharing FOLDER [--quick]\n");
    return 2;
  }
  bench_sharing::Setting setting;
  setting.folder = argv[1];
  if (argc > 2 && std::string_view(argv[2]) == "--quick") setting.rounds = 9;
  // A program that never had a second thread counts std::shared_ptr without atomics, which no program of several models can.
  std::thread([] {}).join();
  try {
    std::filesystem::create_directories(setting.folder);
#if defined(__clang__) || !defined(__GNUC__)
    std::printf("{\"peer\": \"the C++ standard library of this compiler\"}\n");
#else
    std::printf("{\"peer\": \"the C++ standard library of g++ %s\"}\n", __VERSION__);
#endif
    bench_sharing::handles(setting);
    bench_sharing::opening(setting);
    bench_sharing::returning(setting);
    bench_sharing::attaching(setting);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sharing: %s\n", error.what());
    return 1;
  }
}

// Five models of one program share one checkpoint and one embedding; the same program is measured without sharing.
//   multi_model [TEXT...] [--checkpoint DIR] [--labels A,B,...] [--top N] [--report FILE] [--quick]
// Text comes from the arguments, else from standard input, else it is a bundled default.
#include <cotenant/cotenant.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "multi_model/measure.hpp"
#include "multi_model/tenants.hpp"
#include "multi_model/trunk.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace ct = cotenant;
using namespace example;

namespace {

struct Options {
  std::vector<std::string> texts;
  std::filesystem::path checkpoint;
  std::vector<std::string> labels{"cooking",     "astronomy", "sports",  "music",   "gardening", "money", "health", "travel",
                                  "programming", "weather",   "history", "animals", "law",       "art",   "cars",   "family life"};
  std::size_t top = 3;
  std::filesystem::path report = "report.html";
  std::string measure;  // a child's task: one, separate or shared
  std::size_t repeats = 20;
  bool random_weights = false;
};

// Who there is. Each would bring its own trunk, and encode for itself, if it did not share.
const std::vector<std::string> tenants{"encoder", "search", "classifier", "half-width", "compact"};

[[noreturn]] void usage(const std::string& complaint) {
  std::cerr << complaint << "\nusage: multi_model [TEXT...] [--checkpoint DIR] [--labels A,B,...] [--top N] [--report FILE] [--quick]\n";
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  bool only_texts = false;  // after "--"
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (only_texts || !argument.starts_with("--")) {
      options.texts.push_back(argument);
      continue;
    }
    std::optional<std::string> attached;
    if (const auto equals = argument.find('='); equals != std::string::npos) {
      attached = argument.substr(equals + 1);
      argument.resize(equals);
    }
    const auto value = [&]() -> std::string {
      if (attached) return *attached;
      if (++i == argc) usage(argument + " needs a value");
      return argv[i];
    };
    if (argument == "--checkpoint") options.checkpoint = value();
    else if (argument == "--report") options.report = value();
    else if (argument == "--measure") options.measure = value();
    else if (argument == "--quick") options.repeats = 5;
    else if (argument == "--top") {
      const std::string text = value();
      options.top = std::strtoul(text.c_str(), nullptr, 10);
      if (options.top == 0) usage("--top " + text + " is not a number of results");
    } else if (argument == "--labels") {
      options.labels.clear();
      std::string text = value(), label;
      for (std::istringstream stream(text); std::getline(stream, label, ',');) if (!label.empty()) options.labels.push_back(label);
      if (options.labels.empty()) usage("--labels names no label");
    } else if (argument == "--") only_texts = true;
    else usage("unknown option " + argument);
  }
#if defined(__unix__) || defined(__APPLE__)
  if (options.texts.empty() && options.measure.empty() && !::isatty(0))
    for (std::string line; std::getline(std::cin, line);) if (!line.empty()) options.texts.push_back(line);
#endif
  if (options.texts.empty()) options.texts.push_back("How long does it take for light to reach us from the nearest star?");
  return options;
}

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) ct::raise<ct::NotFound>("cannot open '" + path.string() + "', the sentences that come with this example");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) if (!line.empty()) lines.push_back(line);
  return lines;
}

struct Answer {
  std::vector<Scored> nearest, labels, half;
  CompactAnswer compact;
};

// The program: tenants on one manager. With sharing, all on the mapped checkpoint and one embedding; without, each
// copies the weights and encodes for itself, as models do that know nothing of each other.
class Program {
 public:
  Program(const Options& options, std::vector<std::string> sentences, std::vector<std::string> who, bool sharing)
      : options_(options), sentences_(std::move(sentences)), who_(std::move(who)), sharing_(sharing),
        checkpoint_(ct::Checkpoint::open(options.checkpoint, manager_, "checkpoint")),
        tokenizer_(ct::WordPiece::open(options.checkpoint)) {
    for (const std::string& tenant : who_) {
      // The encoder reads the trunk; so does the classifier, for its labels. The others live on results.
      if (sharing_ && tenant != encoding_tenant() && tenant != "classifier") continue;
      trunks_[tenant] = with_trunk_type(*checkpoint_, [&](auto type) {
        return sharing_ ? type.open(*checkpoint_, tokenizer_, tenant) : type.copy(manager_, *checkpoint_, tokenizer_, tenant);
      });
    }
    if (!sharing_) checkpoint_.reset();  // the mapped file was only the source
    for (const std::string& tenant : who_) {
      const Names names = name(tenant);
      if (tenant != "encoder" && tenant != "classifier" && !manager_.contains(names("sentence_embeddings")))
        manager_.register_tensor(names("sentence_embeddings"), encode(owner(tenant), sentences_), {.producer = owner(tenant)});
      if (tenant == "search") search_.emplace(manager_, names, sentences_);
      if (tenant == "half-width") half_.emplace(manager_, names, sentences_);
      if (tenant == "compact") compact_.emplace(manager_, names, sentences_);
      if (tenant == "classifier") {
        manager_.register_tensor(names("label_embeddings"), encode(tenant, options_.labels), {.producer = tenant});
        classifier_.emplace(manager_, names, options_.labels);
      }
    }
    manager_.optimize_memory();  // drops what nobody holds, and the recycled memory of the start-up
  }

  Answer answer(const std::string& text) {
    forget_query();
    for (const std::string& tenant : who_) {
      if (tenant != owner(tenant)) continue;  // somebody else encodes for it
      encode_time_.push_back(milliseconds([&] {
        manager_.register_tensor(name(tenant)("text_embedding"), encode(tenant, {text}),
                                 {.producer = tenant, .consumers = sharing_ ? who_ : std::vector<std::string>{}});
      }));
    }
    Answer answer;
    if (search_) answer.nearest = search_->answer(options_.top);
    if (classifier_) answer.labels = classifier_->answer();
    if (half_) answer.half = half_->answer(options_.top);
    if (compact_) answer.compact = compact_->answer(options_.top);
    return answer;
  }

  // The tenants move out, one after the other; what nobody else holds is freed at once.
  void leave() {
    const auto out = [&](const std::string& tenant, auto& model) {
      model.reset();
      trunks_.erase(tenant);
      manager_.release_model(tenant);
      manager_.optimize_memory();
    };
    forget_query();
    std::optional<int> trunk_only;
    out("compact", compact_), out("half-width", half_), out("search", search_), out("classifier", classifier_), checkpoint_.reset(), out("encoder", trunk_only);
  }

  ct::TensorSharingManager& manager() { return manager_; }
  double encode_milliseconds() const { return median(encode_time_); }
  std::string embedding_name() const { return name(who_.front())("text_embedding"); }

 private:
  // Who encodes for everybody, where they share.
  const std::string& encoding_tenant() const { return who_.front(); }
  const std::string& owner(const std::string& tenant) const { return sharing_ ? encoding_tenant() : tenant; }
  Names name(const std::string& tenant) const { return {sharing_ ? "" : tenant + "/"}; }

  ct::SharedTensor<float> encode(const std::string& tenant, const std::vector<std::string>& texts) { return trunks_.at(tenant)(texts); }
  // Every tenant gives the last query back, and with it go its embedding and what was derived from it.
  void forget_query() {
    if (search_) search_->forget_query();
    if (classifier_) classifier_->forget_query();
    if (half_) half_->forget_query();
    if (compact_) compact_->forget_query();
    for (const std::string& tenant : who_) {
      manager_.release(name(tenant)("text_embedding"), tenant);
      for (const char* derived : {"text_embedding_half", "text_embedding_int8", "text_embedding"}) manager_.forget(name(tenant)(derived));
    }
  }

  Options options_;
  std::vector<std::string> sentences_, who_;
  bool sharing_;
  ct::TensorSharingManager manager_{{.record_timeline = true}};
  std::optional<ct::Checkpoint> checkpoint_;
  ct::WordPiece tokenizer_;
  std::map<std::string, Trunk> trunks_;
  std::optional<SearchModel> search_;
  std::optional<ZeroShotClassifier> classifier_;
  std::optional<HalfWidthModel> half_;
  std::optional<CompactModel> compact_;
  std::vector<double> encode_time_;
};

// A child's work: build the program, answer a few requests, print what it took.
int measure(const Options& options, const std::vector<std::string>& sentences) {
  const bool sharing = options.measure != "separate";
  std::optional<Program> program;
  const double start =
      milliseconds([&] { program.emplace(options, sentences, options.measure == "one" ? std::vector<std::string>{"search"} : tenants, sharing); });
  std::vector<double> times;
  for (std::size_t i = 0; i < options.repeats; ++i)
    times.push_back(milliseconds([&] { static_cast<void>(program->answer(options.texts[i % options.texts.size()])); }));
  // What another model pays for an embedding that is there.
  std::vector<double> lease_times;
  for (std::size_t i = 0; i < 1000; ++i)
    lease_times.push_back(milliseconds([&] { static_cast<void>(program->manager().get<float>(program->embedding_name(), "search")); }));
  const Resident resident = resident_memory();
  const auto print = [](const char* name, double value) { std::printf("%s %.17g\n", name, value); };
  print("resident", static_cast<double>(resident.total));
  print("file", static_cast<double>(resident.file));
  print("accounted", static_cast<double>(program->manager().stats().true_bytes));
  print("start", start);
  print("request", median(times));
  print("encode", program->encode_milliseconds());
  print("lease", median(lease_times));
  return 0;
}

void print_answer(const std::string& text, const Answer& answer) {
  std::printf("\n\"%s\"\n", text.c_str());
  const auto list = [](const char* title, const std::vector<Scored>& results) {
    std::printf("  %s\n", title);
    for (const Scored& result : results) std::printf("    %.3f  %s\n", static_cast<double>(result.score), result.text.c_str());
  };
  list("search: nearest sentences, by cosine similarity", answer.nearest);
  std::printf("  classifier: ");
  for (std::size_t i = 0; i < std::min<std::size_t>(4, answer.labels.size()); ++i)
    std::printf("%s%s %.0f %%", i ? ", " : "", answer.labels[i].text.c_str(), 100 * static_cast<double>(answer.labels[i].probability));
  std::printf("\n");
  list("half-width: the same on a zero-copy view of half the embedding", answer.half);
  char title[160];
  std::snprintf(title, sizeof title, "compact: the same on int8 (cosine of the quantised query and the original %.5f)",
                static_cast<double>(answer.compact.fidelity));
  list(title, answer.compact.nearest);
}

int run(int argc, char** argv) {
  Options options = parse(argc, argv);
  const auto sentences = read_lines(COTENANT_EXAMPLE_DATA "/sentences.txt");
  if (options.checkpoint.empty()) {
    options.checkpoint = std::filesystem::temp_directory_path() / "cotenant-random-minilm";
    options.random_weights = true;
    if (!std::filesystem::exists(options.checkpoint / "model.safetensors")) ct::write_random_checkpoint(options.checkpoint);
  }
  if (!options.measure.empty()) return measure(options, sentences);

  Program program(options, sentences, tenants, true);
  std::printf("cotenant %s, %s\n", COTENANT_VERSION_STRING, to_string(ct::Cpu::capabilities()).c_str());
  std::printf("checkpoint %s\n", options.checkpoint.string().c_str());
  if (options.random_weights)
    std::printf(
        "These weights are RANDOM: no checkpoint could be fetched or was given. Memory and time are real, but the embeddings, and so\nthe sentences and labels "
        "below, mean nothing. Give a BERT-family directory with --checkpoint DIR.\n");
  for (const std::string& text : options.texts) print_answer(text, program.answer(text));
  const ct::SharingStats stats = program.manager().stats();
  program.leave();
  const auto timeline = program.manager().timeline();

  std::printf("\nMeasuring the same work in child processes ...\n");
  std::fflush(stdout);
  std::vector<std::string> arguments{"--checkpoint", options.checkpoint.string(), "--measure", "shared"};
  if (options.repeats == 5) arguments.push_back("--quick");
  std::string labels;
  for (const std::string& label : options.labels) labels += label + ",";
  arguments.insert(arguments.end(), {"--labels", labels, "--top", std::to_string(options.top), "--"});
  arguments.insert(arguments.end(), options.texts.begin(), options.texts.end());
  std::map<std::string, Figures> runs;
  for (const char* mode : {"one", "separate", "shared"}) {
    arguments[3] = mode;
    runs[mode] = run_child(arguments);
  }
  const Figures &one = runs["one"], &separate = runs["separate"], &shared = runs["shared"];
  ct::HtmlTable table{.title = "With and without sharing",
                      .rows = {{"", "one model alone", "five, separate", "five, sharing"}},
                      .note = "The same requests in three child processes, measured by the operating system."};
  if (one.empty() || separate.empty() || shared.empty()) {
    std::printf("no figures: this system gives no child process or no /proc/self/status\n");
  } else {
    const auto row = [&](const char* title, const char* key, auto format) {
      table.rows.push_back({title, format(one.at(key)), format(separate.at(key)), format(shared.at(key))});
    };
    row("resident memory (operating system)", "resident", mebibytes);
    row("  of it pages of mapped files", "file", mebibytes);
    row("bytes by the manager's accounting", "accounted", mebibytes);
    row("time per request (median)", "request", time_text);
    row("start-up, sentences encoded", "start", time_text);
    std::printf("\n");
    for (const auto& cells : table.rows) std::printf("  %-36s %16s %16s %16s\n", cells[0].c_str(), cells[1].c_str(), cells[2].c_str(), cells[3].c_str());
    char line[400];
    std::snprintf(line, sizeof line,
                  "Five models that share take %.2f times the memory of one; without sharing they take %.1f times as much. The embedding costs its first user "
                  "%s and every other one %s, %.4f %% of it.",
                  shared.at("resident") / one.at("resident"), separate.at("resident") / shared.at("resident"), time_text(shared.at("encode")).c_str(),
                  time_text(shared.at("lease")).c_str(), 100 * shared.at("lease") / shared.at("encode"));
    std::printf("\n%s\n", line);
    table.note += std::string(" ") + line;
  }
  std::ofstream page(options.report);
  page << ct::report_html(stats, timeline, {.title = "Five models on one checkpoint", .tables = {table}});
  if (!page.flush()) ct::raise<ct::IoError>("cannot write '" + options.report.string() + "'");
  std::printf("\nWho holds what, and memory over time: %s\n", std::filesystem::absolute(options.report).string().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const ct::Error& error) {
    std::cerr << "multi_model: " << error.what() << "\n";
    return 1;
  }
}

import java.io.InputStream;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Properties;

/**
 * Prints what java.util.Properties reads in the files *.properties of a directory: a line for each
 * property, with file, way of reading, and key and value in base64 of UTF-8.
 */
class ReadProperties {
    public static void main(String[] arguments) throws Exception {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of(arguments[0]), "*.properties")) {
            for (Path file : files) {
                Properties read = new Properties();
                try (InputStream stream = Files.newInputStream(file)) {
                    read.load(stream);
                }
                print(file, "stream", read);
                read = new Properties();
                try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
                    read.load(reader);
                }
                print(file, "reader", read);
            }
        }
    }

    private static void print(Path file, String way, Properties read) {
        String name = file.getFileName().toString().replace(".properties", "");
        for (String key : read.stringPropertyNames()) {
            System.out.println(name + "\t" + way + "\t" + base64(key) + "\t" + base64(read.getProperty(key)));
        }
    }

    private static String base64(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }
}
